"""Where the faces of a frame are, whoever's they are; which one is the subject is decided in `tracking`.

Decisions:

- One question: `detect(frame, near)`. Without `near` the whole frame is searched, and only faces sure enough to begin a
  track are returned; with the box of a face just seen, a little around it, and a weak answer will do. The two
  thresholds are the detector's own affair, because only it knows what its scores mean.
- `haar` works on luma shrunk by a whole number, which area averaging does four times faster than by a fraction: whole
  frames to about 320 pixels, regions so that the expected face keeps 56. Up to 48 pixels OpenCV's search moves in
  steps of two pixels, and agreement with full-size detection falls from .96 to .81-.86.
- A detector is named by the recipe and never replaced by another: crops of two detectors are not comparable.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from pipelines.errors import MtpkdError
from pipelines.media.frame import Region, VideoFrame
from pipelines.recipe import FaceSettings

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the upright frame, measured at pixel edges."""

SEARCH_SIDE = 320
"""About the longer side in pixels to which a frame is shrunk before it is searched."""


@dataclass(frozen=True, eq=False)
class Detection:
    """One face.

    Attributes:
        box: where it is.
        score: the detector's certainty, in its own unit (haar: agreeing windows; face-alignment: probability).
        landmarks: (5, 2) float x, y of the eye at the left of the picture, the other one, nose tip, left and right
            corner of the mouth; None from a detector of boxes.
    """

    box: Box
    score: float
    landmarks: np.ndarray | None = None


class Detector(Protocol):
    """Finds faces in a frame."""

    def detect(self, frame: VideoFrame, near: Box | None = None) -> list[Detection]:
        """All faces in the frame, or those of about the size of `near` around it; empty where there is none."""
        ...


class HaarDetector:
    """OpenCV's bundled frontal cascade (Viola and Jones 2001, doi:10.1109/CVPR.2001.990517); one instance a thread."""

    scale_step = 1.1
    """Ratio between successive sizes that are searched."""
    smallest = 24
    """Least face in pixels of the reduced frame: the cascade's own window."""
    face_side = 56
    """Least side to which an expected face is shrunk."""
    around = 0.3
    """Share of the expected face's side that is searched beyond each border."""
    size_range = (0.8, 1.25)
    """Sizes that are searched around an expected face, relative to it."""
    begin, keep = 8, 3
    """Agreeing windows needed to find a face anywhere, and near one just seen."""

    def __init__(self) -> None:
        file = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"  # pyright: ignore[reportAttributeAccessIssue]
        self._cascade = cv2.CascadeClassifier()
        if not (file.exists() and self._cascade.load(str(file))):
            raise MtpkdError(f"{file}: OpenCV's face cascade is missing; install opencv-python >= 4.10, < 5")

    def detect(self, frame: VideoFrame, near: Box | None = None) -> list[Detection]:
        """See `Detector.detect`; reads luma only."""
        if near is None:
            region = (0, 0, frame.width, frame.height)
            shrink = max(1, round(max(frame.width, frame.height) / SEARCH_SIDE))
            return self._search(frame, region, shrink, self.begin, (self.smallest, 0))
        side = max(near[2] - near[0], near[3] - near[1])
        region = clipped(grown(near, self.around * side), frame)
        if region is None:
            return []
        shrink = max(1, int(side / self.face_side))
        smallest, largest = (int(side / shrink * factor) for factor in self.size_range)
        return self._search(frame, region, shrink, self.keep, (smallest, largest))

    def _search(
        self, frame: VideoFrame, region: Region, shrink: int, neighbours: int, sizes: tuple[int, int]
    ) -> list[Detection]:
        x0, y0, *_ = region
        small = shrunk(frame.luma(region), shrink)
        boxes, counts = self._cascade.detectMultiScale2(
            small, self.scale_step, neighbours, minSize=(sizes[0], sizes[0]), maxSize=(sizes[1], sizes[1])
        )
        squares = (np.asarray(boxes, float).reshape(-1, 4) * shrink + [x0, y0, 0, 0]).tolist()
        return [
            Detection((x, y, x + width, y + height), float(count))
            for (x, y, width, height), count in zip(squares, counts, strict=True)
        ]


class OneSided:
    """A detector that sees only faces whose centre lies in one half of the upright frame.

    Args:
        detector: finds the faces of both halves.
        side: "left" or "right", as seen in the picture.

    Raises:
        ValueError: another side.
    """

    def __init__(self, detector: Detector, side: str) -> None:
        if side not in ("left", "right"):
            raise ValueError(f"side = {side!r}: use left or right")
        self._detector = detector
        self._side = side

    def detect(self, frame: VideoFrame, near: Box | None = None) -> list[Detection]:
        """See `Detector.detect`."""
        return [face for face in self._detector.detect(frame, near) if self._side == self._side_of(face.box, frame)]

    @staticmethod
    def _side_of(box: Box, frame: VideoFrame) -> str:
        return "left" if box[0] + box[2] < frame.width else "right"


def make_detector(settings: FaceSettings, *, device: str = "cpu") -> Detector:
    """The detector that the settings name.

    Args:
        settings: `detector` is read.
        device: torch device of a learned detector.

    Raises:
        MtpkdError: the detector's files are missing and cannot be fetched.
    """
    if settings.detector == "haar":
        return HaarDetector()
    from pipelines.media.face_alignment_detector import FaceAlignmentDetector, load_networks

    return FaceAlignmentDetector(load_networks(device))


def shrunk(image: np.ndarray, shrink: int) -> np.ndarray:
    """The means of shrink x shrink blocks; what is left over at the right and lower border is cut off."""
    height, width = image.shape[0] // shrink, image.shape[1] // shrink
    if shrink == 1 or not (width and height):
        return np.ascontiguousarray(image)
    whole = np.ascontiguousarray(image[: height * shrink, : width * shrink])
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


def grown(box: Box, pixels: float) -> Box:
    """The box with its borders moved outward."""
    return box[0] - pixels, box[1] - pixels, box[2] + pixels, box[3] + pixels


def clipped(box: Box, frame: VideoFrame) -> Region | None:
    """The whole pixels of the frame that the box touches, None where it lies beside the frame."""
    x0, y0 = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    x1, y1 = min(frame.width, int(np.ceil(box[2]))), min(frame.height, int(np.ceil(box[3])))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0 to 1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (area - width * height)
