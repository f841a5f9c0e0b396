"""Ten random frames of a cached clip: from a folder of JPEGs, from packed JPEGs and from raw pixels.

    python benchmarks/crops.py [--rounds N] [--clips N]

The crops are those that preprocessing makes of a real face video where there is one (folder from MTPKD_REAL_DATA, by
default ../shared/real beside the project), else of the synthetic corpus' drawn face: clips of 138 frames, as BioVid's,
at the recipe's default size. Packed JPEGs must give the folder's frames, raw pixels those before compression; then all
run interleaved, on one thread, over clips and frames drawn anew in every round. A folder's size is what its files occupy.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from pipelines.cache.faces import FaceShard, FaceShardWriter
from pipelines.media.faces import FaceCrop, crop_faces, write_crops
from pipelines.recipe import FaceSettings, SyntheticCorpus

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = FaceSettings()
FRAMES, DRAWN = 138, 10
Read = Callable[[str, Sequence[int]], np.ndarray]


def source_videos(folder: Path) -> list[Path]:
    """The real face videos that show one all the time, or one clip of the synthetic corpus."""
    real = Path(os.environ.get("MTPKD_REAL_DATA", ROOT.parent / "shared" / "real")) / "faces"
    if videos := [file for file in (real / "WolfgangLanger_Pexels.mp4", real / "single_face.mp4") if file.exists()]:
        return videos
    from pipelines.corpora.synthetic import render_synthetic

    root = render_synthetic(SyntheticCorpus(root=folder / "synthetic", subject_count=2, clips_per_class=1))
    return sorted(root.rglob("*.mp4"))[:1]


def make_clips(folder: Path, count: int) -> dict[str, list[FaceCrop]]:
    """Clips of FRAMES crops that show a face, cut one after the other out of the videos, over and over."""
    crops = [crop for video in source_videos(folder) for crop in crop_faces(video, SETTINGS) if crop.image is not None]
    endless = itertools.cycle(crops)
    clips = {}
    for number in range(count):
        taken = (next(endless) for _ in range(FRAMES))
        clips[f"clip-{number}"] = [
            FaceCrop(index, index / 25, crop.box, crop.image) for index, crop in enumerate(taken)
        ]
    return clips


def write_shard(path: Path, clips: dict[str, list[FaceCrop]], storage: str) -> FaceShard:
    """A shard of the cache."""
    with FaceShardWriter(path, size=SETTINGS.size, storage=storage) as writer:
        for clip, crops in clips.items():
            writer.add(clip, crops)
    return FaceShard(path)


def from_folder(root: Path) -> Read:
    """What one would write first: a file a frame, read by OpenCV."""

    def read(clip: str, frames: Sequence[int]) -> np.ndarray:
        files = (root / clip / f"{frame + 1:05d}.jpg" for frame in frames)
        return np.stack([cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in files])

    return read


def draws(clips: Sequence[str], rounds: int) -> Iterator[tuple[str, list[int]]]:
    """A clip and frames of it, in order of time as a model takes them, for every round."""
    random = np.random.default_rng(0)
    for _ in range(rounds):
        frames = np.sort(random.choice(FRAMES, DRAWN, replace=False)).tolist()
        yield clips[int(random.integers(len(clips)))], frames


def occupied(folder: Path) -> int:
    """Bytes on disk of the images in a folder, in whole blocks."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*.jpg"))


def measure(arms: dict[str, Read], drawn: Sequence[tuple[str, list[int]]]) -> dict[str, list[float]]:
    """Seconds of every draw by every arm, which take turns in an order of their own in each round."""
    random, names = np.random.default_rng(1), list(arms)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for clip, frames in drawn:
        for name in random.permutation(names).tolist():
            start = time.perf_counter()
            arms[name](clip, frames)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Write all three, check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--clips", type=int, default=20)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = make_clips(folder, arguments.clips)
        for clip, crops in clips.items():
            write_crops(crops, folder / "jpeg" / clip)
        packed, raw = (write_shard(folder / f"{kind}.h5", clips, kind) for kind in ("jpeg", "raw"))
        arms = {"folder of JPEGs": from_folder(folder / "jpeg"), "packed JPEGs": packed.read, "raw pixels": raw.read}
        sizes = [occupied(folder / "jpeg"), *((folder / f"{kind}.h5").stat().st_size for kind in ("jpeg", "raw"))]
        for clip, frames in draws(list(clips), 20):
            found = [read(clip, frames) for read in arms.values()]
            np.testing.assert_array_equal(found[1], found[0])
            np.testing.assert_array_equal(found[2], np.stack([clips[clip][i].image for i in frames]))
        seconds = measure(arms, list(draws(list(clips), arguments.rounds)))
        packed.close()
        raw.close()
    anchor = statistics.median(seconds["folder of JPEGs"])
    pixels = arguments.clips * FRAMES * SETTINGS.size**2 * 3
    targets = ("-", ">= 1.5x, <= .15", ">= 10x")
    print(f"{'':<18}{'median ms':>10}{'as fast':>9}{'of raw size':>13}{'target':>17}")
    for (arm, values), size, target in zip(seconds.items(), sizes, targets, strict=True):
        value = statistics.median(values)
        print(f"{arm:<18}{1e3 * value:>10.3f}{anchor / value:>8.2f}x{size / pixels:>13.3f}{target:>17}")


if __name__ == "__main__":
    main()
