"""`mtpkd crop-faces`: one video, without a corpus."""

from pathlib import Path
from typing import Annotated

import typer

from mtpkd_cli.options import DetectorName


def crop_faces(
    video: Annotated[Path, typer.Argument(help="A video, or a still image.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", help="Where the folder of crops is made.")] = Path("faces"),
    detector: Annotated[DetectorName, typer.Option("--detector", help="Face detector.")] = DetectorName.haar,
    size: Annotated[int, typer.Option("--size", help="Side of a crop in pixels.")] = 112,
    margin: Annotated[
        float | None,
        typer.Option(
            "--margin",
            help="Share of the face box added on every side; face-alignment has its own.",
            show_default="0.2",
        ),
    ] = None,
) -> None:
    """One video -> OUTPUT/<name>/00001.jpg ... (gaps where there is no face) and faces.csv."""
    from tqdm import tqdm

    from pipelines.errors import SettingsError, UnreadableMedia
    from pipelines.media import faces
    from pipelines.media.detectors import make_detector
    from pipelines.media.video import probe
    from pipelines.recipe.loading import load_recipe, override_recipe

    changes: dict[str, object] = {"faces.detector": detector.value, "faces.size": size}
    if margin is not None:
        if detector is DetectorName.face_alignment:
            raise SettingsError(f"--margin {margin}: face-alignment's template fixes the margin; leave the option out")
        changes["faces.margin"] = margin
    settings = override_recipe(load_recipe("biovid"), **changes).faces
    info, finder = probe(video), make_detector(settings)
    folder = output / video.stem
    frames, found = faces.write_crops(
        faces.crop_faces(video, settings, detector=finder),
        folder,
        progress=lambda crops: tqdm(crops, total=info.frames, unit=" frames", disable=None),
    )
    if not found:
        raise UnreadableMedia(video, f"no face was found in any of {frames} frames")
    print(f"{video}: {frames} frames, a face in {found} of them, {size}x{size} crops in {folder}")
