"""Face crops of one BioVid-sized clip against decoding alone and against Haar on every full frame.

    python benchmarks/faces.py [--rounds N] [--frames N] [--crf N]

The clip (1388x1038, 25 a second, 138 frames by default) is enlarged from a real face video where there is one (folder
from MTPKD_REAL_DATA, by default ../shared/real beside the project), else from the synthetic corpus' drawn face.
Agreement with per-frame detection is checked first, on this clip and on every real video; then the three run
interleaved, all on one thread with the same decoder. The picture carries noise, and --crf says how much of it is kept:
at 18 decoding takes about the 7 ms a frame that PyAV needs for a camera's recording of this size, at 20 half of that.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from pipelines.media.alignment import crop_face
from pipelines.media.detectors import Box, Detection, make_detector, overlap
from pipelines.media.faces import crop_faces
from pipelines.media.video import probe, read_frames, write_video
from pipelines.recipe import FaceSettings, SyntheticCorpus

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT, RATE = 1388, 1038, 25
SETTINGS = FaceSettings()
# Made once, as a worker does, for both.
CASCADE = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")  # pyright: ignore[reportAttributeAccessIssue]
DETECTOR = make_detector(SETTINGS)
LEAST_AGREEMENT = 0.94


def real_videos() -> list[Path]:
    """The real face videos, the longest first; empty without the folder."""
    folder = Path(os.environ.get("MTPKD_REAL_DATA", ROOT.parent / "shared" / "real")) / "faces"
    return sorted(
        (file for file in folder.glob("*") if file.suffix in {".mp4", ".mov"}), key=lambda f: -f.stat().st_size
    )


def source_video(folder: Path) -> Path:
    """A real face video, or one clip of the synthetic corpus."""
    named = [video for video in real_videos() if video.name.startswith("Wolfgang")]
    if named:
        return named[0]
    from pipelines.corpora.synthetic import render_synthetic

    root = render_synthetic(SyntheticCorpus(root=folder / "synthetic", subject_count=2, clips_per_class=1, width=640))
    return next(root.rglob("*.mp4"))


def enlarged(source: Path, frames: int) -> Iterator[np.ndarray]:
    """The middle of the source (a hand hides the face before, the head tilts after) at BioVid's size, with noise."""
    random = np.random.default_rng(0)
    first = max(0, (probe(source).frames or 0) - frames) // 2
    for frame in read_frames(source):
        if not first <= frame.index < first + frames:
            continue
        side = (frame.width - frame.height * 4 // 3) // 2
        image = cv2.resize(frame.rgb((side, 0, frame.width - side, frame.height)), (WIDTH, HEIGHT))
        noise = random.normal(0, 2, (HEIGHT, WIDTH, 1))
        yield np.clip(image + noise, 0, 255).astype(np.uint8)


def decode_only(path: Path) -> None:
    """Every frame decoded, nothing else."""
    for frame in read_frames(path):
        frame.luma()


def naive(path: Path) -> list[Box | None]:
    """What one would write first: the cascade on every full frame, and a crop of the largest face."""
    boxes: list[Box | None] = []
    for frame in read_frames(path):
        faces = CASCADE.detectMultiScale(frame.luma(), 1.1, 5)
        x, y, w, h = max(faces, key=lambda face: face[2], default=(0, 0, 0, 0))
        boxes.append((float(x), float(y), float(x + w), float(y + h)) if w else None)
        if w:
            crop_face(frame, Detection(boxes[-1] or (0, 0, 0, 0), 1.0), SETTINGS.size, SETTINGS.margin)
    return boxes


def ours(path: Path) -> list[Box | None]:
    """The crops that go into the cache."""
    return [crop.box for crop in crop_faces(path, SETTINGS, detector=DETECTOR)]


def agreement(path: Path) -> tuple[str, float | None]:
    """One line on how far the boxes agree with per-frame detection, and the median overlap."""
    found, reference = ours(path), naive(path)
    both = [overlap(a, b) for a, b in zip(found, reference, strict=True) if a and b]
    median = statistics.median(both) if both else None
    counts = f"{len(found)} frames, a face in {sum(b is not None for b in found)} (per frame: "
    counts += f"{sum(b is not None for b in reference)})"
    return f"{path.name[:28]:<30}{counts:<48}" + (f"IoU {median:.3f}" if median else "no face in either"), median


def timed(work: Callable[[Path], object], path: Path) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    work(path)
    return time.perf_counter() - start


def main() -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=138)
    parser.add_argument("--crf", type=int, default=18)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        clip = Path(name) / "clip.mp4"
        source = source_video(Path(name))
        write_video(clip, enlarged(source, arguments.frames), RATE, arguments.crf)
        print(f"{arguments.frames} frames of {WIDTH}x{HEIGHT} from {source.name}, {clip.stat().st_size / 1e6:.1f} MB\n")
        for video in (clip, *real_videos()):
            line, median = agreement(video)
            print(line)
            if median is not None and median < LEAST_AGREEMENT:
                sys.exit(f"{video.name}: median IoU {median:.3f} with per-frame detection is below {LEAST_AGREEMENT}")
        arms = {"decoding alone": decode_only, "face crops": ours, "Haar on every full frame": naive}
        seconds = {name: [] for name in arms}
        for _ in range(arguments.rounds):
            for name, work in arms.items():
                seconds[name].append(timed(work, clip))
    print(f"\n{'':<26}{'median s':>10}{'ms a frame':>12}{'against decoding':>18}")
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in medians.items():
        per_frame, ratio = 1e3 * value / arguments.frames, value / medians["decoding alone"]
        print(f"{name:<26}{value:>10.2f}{per_frame:>12.1f}{ratio:>17.2f}x")
    print(f"\nface crops are {medians['Haar on every full frame'] / medians['face crops']:.1f}x as fast as naive")


if __name__ == "__main__":
    main()
