"""A learned detector on key frames against the same detector on every frame: agreement of boxes, and searches saved.

    python benchmarks/key_frames.py

The learned detector's whole path is run (at most 320 pixels, thresholds, landmarks, tracking) with OpenCV's cascade and
fixed landmarks in place of its networks, so that no weights are needed. On every real face video (folder from
MTPKD_REAL_DATA, by default ../shared/real beside the project), and on one whose picture slides until the face has left
and then comes back, boxes are compared over all frames in which both see the face. Frames that only one side gives a
face are counted: every frame by itself also has false alarms and blinks, which tracking takes out.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from pipelines.media.alignment import ARCFACE_SIDE, ARCFACE_TEMPLATE
from pipelines.media.detectors import SEARCH_SIDE, Box, Detection, overlap
from pipelines.media.face_alignment_detector import LANDMARKS, FaceAlignmentDetector
from pipelines.media.frame import VideoFrame
from pipelines.media.tracking import follow
from pipelines.media.video import read_frames, write_video

ROOT = Path(__file__).resolve().parent.parent
LEAST_AGREEMENT = 0.94
Boxes = list[Box | None]


class CascadeNetworks:
    """OpenCV's frontal cascade where the networks would be."""

    def __init__(self) -> None:
        file = cv2.data.haarcascades + "haarcascade_frontalface_default.xml"  # pyright: ignore[reportAttributeAccessIssue]
        self._cascade = cv2.CascadeClassifier(file)

    def boxes(self, image: np.ndarray) -> np.ndarray:
        """See FaceNetworks."""
        assert max(image.shape) <= SEARCH_SIDE + 1
        found = self._cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 1.05, 5)
        squares = np.asarray(found, float).reshape(-1, 4)
        return np.column_stack([squares[:, :2], squares[:, :2] + squares[:, 2:], np.full(len(squares), 0.9)])

    def landmarks(self, image: np.ndarray, box: Box) -> np.ndarray:
        """See FaceNetworks: always at the same places of the box."""
        points = np.zeros((68, 2))
        for (first, last), point in zip(LANDMARKS, ARCFACE_TEMPLATE / ARCFACE_SIDE, strict=True):
            points[first:last] = np.array(box[:2]) + point * (np.array(box[2:]) - box[:2])
        return points


class Counting:
    """A detector that counts how often it is asked."""

    def __init__(self, detector: FaceAlignmentDetector) -> None:
        self.detector, self.asked = detector, 0

    def detect(self, frame: VideoFrame, near: Box | None = None) -> list[Detection]:
        """See Detector."""
        self.asked += 1
        return self.detector.detect(frame, near)


def real_videos() -> list[Path]:
    """The real face videos; empty without the folder."""
    folder = Path(os.environ.get("MTPKD_REAL_DATA", ROOT.parent / "shared" / "real")) / "faces"
    return sorted(file for file in folder.glob("*") if file.suffix in {".mp4", ".mov"})


def sliding(source: Path) -> Iterator[np.ndarray]:
    """8 s of the source at 960 pixels: still for 2 s, out to the left within 1 s, empty for 1 s, and back."""
    for frame in read_frames(source):
        if frame.index >= 200:
            return
        image = cv2.resize(frame.rgb(), (960, 540), interpolation=cv2.INTER_AREA)
        shift = round(960 * float(np.interp(frame.index, [50, 75, 100, 125], [0, 1, 1, 0])))
        yield np.pad(image[:, shift:], ((0, 0), (0, shift), (0, 0)), constant_values=110)


def on_every_frame(video: Path, detector: Counting) -> Boxes:
    """The largest face of each frame, by itself."""
    found = (detector.detect(frame) for frame in read_frames(video))
    return [max((face.box for face in faces), key=lambda box: box[2] - box[0], default=None) for faces in found]


def on_key_frames(video: Path, detector: Counting) -> Boxes:
    """The faces that are cut out for the cache."""
    return [face.box if face else None for _, face in follow(read_frames(video), detector)]


def compare(video: Path) -> None:
    """One line; ends the program where the boxes do not agree."""
    boxes, asked, seconds = [], [], []
    for work in (on_every_frame, on_key_frames):
        detector, start = Counting(FaceAlignmentDetector(CascadeNetworks())), time.perf_counter()
        boxes.append(work(video, detector))
        asked.append(detector.asked)
        seconds.append(time.perf_counter() - start)
    pairs = list(zip(*boxes, strict=True))
    both = [overlap(a, b) for a, b in pairs if a and b]
    alone = [sum(bool(pair[i]) and not pair[1 - i] for pair in pairs) for i in (0, 1)]
    median = statistics.median(both) if both else None
    print(
        f"{video.name[:26]:<28}{len(pairs):>7}{len(both):>7}{alone[0]:>12}{alone[1]:>11}{asked[1] / asked[0]:>10.2f}"
        f"{seconds[1] / seconds[0]:>8.2f}{f'{median:.3f}' if median else '-':>8}",
        flush=True,
    )
    if median is not None and median < LEAST_AGREEMENT:
        sys.exit(f"{video.name}: median IoU {median:.3f} with every frame's detection is below {LEAST_AGREEMENT}")


def main() -> None:
    """Compare on every video, print."""
    cv2.setNumThreads(1)
    videos = real_videos()
    if not videos:
        sys.exit("there are no real face videos: set MTPKD_REAL_DATA to the folder that has faces/")
    print(f"{'':<28}{'frames':>7}{'both':>7}{'every only':>12}{'keys only':>11}{'searches':>10}{'time':>8}{'IoU':>8}")
    with tempfile.TemporaryDirectory() as name:
        away = Path(name) / "leaves and comes back.mp4"
        write_video(away, sliding(max(videos, key=lambda video: len(video.name))), 25)
        for video in (*videos, away):
            compare(video)


if __name__ == "__main__":
    main()
