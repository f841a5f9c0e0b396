"""Ten random frames of a cached clip: from a folder of JPEGs, from packed JPEGs and from raw pixels.

    python benchmarks/crops.py [--rounds N] [--clips N]

The crops are those that preprocessing makes of a real face video where there is one (folder from MTPKD_REAL_DATA, by
default ../shared/real beside the project), else of the synthetic corpus' drawn face: clips of 138 frames, as BioVid's,
at the recipe's default size. Packed JPEGs must give the folder's frames, raw pixels those before compression; then all
run interleaved, on one thread, over clips and frames drawn anew in every round, first from the page cache and then,
evicted from it, from the disk. A folder's size is what its files occupy.
"""

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from pipelines.cache.faces import FaceShard, FaceShardWriter
from pipelines.media.faces import FaceCrop, crop_faces, write_crops
from pipelines.recipe import FaceSettings, SyntheticCorpus

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = FaceSettings()
FRAMES, DRAWN = 138, 10
TARGETS = ("-", ">= 1.5x, <= .15", ">= 10x")
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


def image_file(root: Path, clip: str, frame: int) -> Path:
    """A frame's crop in a folder, as `write_crops` names it."""
    return root / clip / f"{frame + 1:05d}.jpg"


def from_folder(root: Path) -> Read:
    """What one would write first: a file a frame, read by OpenCV."""

    def read(clip: str, frames: Sequence[int]) -> np.ndarray:
        files = (image_file(root, clip, frame) for frame in frames)
        images = (cv2.imread(str(file)) for file in files)
        return np.stack([cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in images if image is not None])

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


def evict(*files: Path) -> None:
    """Take files out of the system's page cache; those in a folder that lies in memory stay."""
    for file in files:
        number = os.open(file, os.O_RDONLY)
        os.fsync(number)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(number)


def measure(
    arms: dict[str, Read], drawn: Iterable[tuple[str, list[int]]], cool: Callable[[str, Sequence[int]], None]
) -> dict[str, float]:
    """Median seconds of every arm, which take turns in an order of their own in each round."""
    random, names = np.random.default_rng(1), list(arms)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    kept = None
    for clip, frames in drawn:
        cool(clip, frames)
        for name in random.permutation(names).tolist():
            start = time.perf_counter()
            # Like a batch, what was read lives until more is: memory given back at once would be cleared anew.
            kept = arms[name](clip, frames)
            seconds[name].append(time.perf_counter() - start)
    assert kept is not None
    return {name: statistics.median(values) for name, values in seconds.items()}


def report(title: str, seconds: dict[str, float], shares: Sequence[float]) -> None:
    """A table of one measurement."""
    anchor = seconds["folder of JPEGs"]
    print(f"\n{title:<26}{'median ms':>10}{'as fast':>9}{'of raw size':>13}{'target':>17}")
    for (arm, value), share, target in zip(seconds.items(), shares, TARGETS, strict=True):
        print(f"{arm:<26}{1e3 * value:>10.3f}{anchor / value:>8.2f}x{share:>13.3f}{target:>17}")


def main() -> None:
    """Write all three, check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--clips", type=int, default=40)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = make_clips(folder, arguments.clips)
        for clip, crops in clips.items():
            write_crops(crops, folder / "jpeg" / clip)
        files = [folder / "packed.h5", folder / "raw.h5"]
        packed, raw = (write_shard(file, clips, kind) for file, kind in zip(files, ("jpeg", "raw"), strict=True))
        arms = {"folder of JPEGs": from_folder(folder / "jpeg"), "packed JPEGs": packed.read, "raw pixels": raw.read}
        sizes = [occupied(folder / "jpeg"), *(file.stat().st_size for file in files)]
        shares = [size / (arguments.clips * FRAMES * SETTINGS.size**2 * 3) for size in sizes]

        def cool(clip: str, frames: Sequence[int]) -> None:
            evict(*files, *(image_file(folder / "jpeg", clip, frame) for frame in frames))

        for clip, frames in draws(list(clips), 20):
            found = [read(clip, frames) for read in arms.values()]
            np.testing.assert_array_equal(found[1], found[0])
            np.testing.assert_array_equal(found[2], np.array([clips[clip][i].image for i in frames]))
        report("in the page cache", measure(arms, draws(list(clips), arguments.rounds), lambda *_: None), shares)
        report("on the disk", measure(arms, draws(list(clips), arguments.rounds // 3), cool), shares)
        packed.close()
        raw.close()


if __name__ == "__main__":
    main()
