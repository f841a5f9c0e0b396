"""The `face-alignment` package: SFD finds the face, 2DFAN-4 its 68 landmarks (Bulat et al. 2017, arXiv 1703.07332).

Decisions:

- The package would fetch its weights while it is built, without a time limit, and load one of the two files by
  unpickling whatever is in it. Here they come from the registry (`pipelines.weights`), which lies where the package
  looks, fetched with a time limit and checked, and are handed over as local files, which it reads as tensors only.
- What cannot be fetched is an error that names files and folder. The detector is never replaced by another.
- Faces are sought at 320 pixels, and no full-size RGB picture of a large frame is made for that. Landmarks are read
  from full resolution, shrunk so that the face has the package's reference size: it rounds landmarks to whole pixels of
  the picture that it is given.
- `FaceNetworks` is the seam: two functions on arrays, so that the path from landmarks to crops runs without weights.
"""

from typing import Protocol

import cv2
import numpy as np

from pipelines.media.detectors import SEARCH_SIDE, Box, Detection, clipped, grown
from pipelines.media.frame import Region, VideoFrame
from pipelines.weights import ensure, get_weights

LANDMARKS = ((36, 42), (42, 48), (30, 31), (48, 49), (54, 55))
"""Ranges of the 68 points whose means are the eyes, the nose tip and the mouth's corners."""


class FaceNetworks(Protocol):
    """What the two networks answer, in pixels of the image given."""

    def boxes(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (n, 5): x0, y0, x1, y1, probability."""
        ...

    def landmarks(self, image: np.ndarray, box: Box) -> np.ndarray:
        """(H, W, 3) uint8 RGB and a face in it -> (68, 2): x, y."""
        ...


class FaceAlignmentDetector:
    """Boxes with five landmarks, by learned networks."""

    begin, keep = 0.8, 0.5
    """Probability needed to find a face anywhere, and near one just seen; the package itself drops all below 0.5."""
    around = 0.5
    """Share of the expected face's side that is searched beyond each border."""
    size_ratio = 1.5
    """Largest ratio between the side of an expected face and the one found."""
    face_side = 195
    """Side to which a face is shrunk before its landmarks are read: the package's reference scale."""

    def __init__(self, networks: FaceNetworks) -> None:
        self._networks = networks

    def detect(self, frame: VideoFrame, near: Box | None = None) -> list[Detection]:
        """See `Detector.detect`."""
        region: Region | None = (0, 0, frame.width, frame.height)
        if near is not None:
            region = clipped(grown(near, self.around * _side(near)), frame)
        if region is None:
            return []
        image, scale = _shrunk(frame, region, SEARCH_SIDE / max(region[2] - region[0], region[3] - region[1]))
        origin = np.array([*region[:2], *region[:2]])
        least = self.begin if near is None else self.keep
        found = []
        for *corners, score in np.asarray(self._networks.boxes(image), float).reshape(-1, 5):
            x0, y0, x1, y1 = (float(value) for value in np.array(corners) / scale + origin)
            box = (x0, y0, x1, y1)
            fits = near is None or 1 / self.size_ratio <= _side(box) / _side(near) <= self.size_ratio
            if score >= least and fits and clipped(box, frame) is not None:
                found.append(Detection(box, float(score), self._five_points(frame, box)))
        return found

    def _five_points(self, frame: VideoFrame, box: Box) -> np.ndarray:
        region = clipped(grown(box, 0.5 * _side(box)), frame)
        assert region is not None  # the box itself lies in the frame
        image, scale = _shrunk(frame, region, self.face_side / _side(box))
        x0, y0, x1, y1 = (np.array(box) - [*region[:2], *region[:2]]) * scale
        points = self._networks.landmarks(image, (x0, y0, x1, y1))
        five = np.stack([points[first:last].mean(0) for first, last in LANDMARKS])
        # Landmarks are pixel indices, boxes measure at pixel edges.
        return (five + 0.5) / scale + region[:2]


class _LibraryNetworks:
    """`face_alignment.FaceAlignment` behind FaceNetworks."""

    def __init__(self, package_model) -> None:
        self._model = package_model

    def boxes(self, image: np.ndarray) -> np.ndarray:
        return np.asarray(self._model.face_detector.detect_from_image(image), float).reshape(-1, 5)

    def landmarks(self, image: np.ndarray, box: Box) -> np.ndarray:
        return self._model.get_landmarks_from_image(image, detected_faces=[np.array(box)])[0]


def load_networks(device: str = "cpu") -> FaceNetworks:
    """The package's networks with its published weights, fetched when absent.

    Args:
        device: torch device, `cpu` or `cuda`.

    Raises:
        MtpkdError: a weight file is absent and cannot be fetched, or is not the published one.
    """
    import face_alignment
    import face_alignment.api

    detector_file, _ = ensure(
        ("s3fd", "2dfan-4"),
        user="the face-alignment detector",
        way_out=", or use --detector haar, which needs none",
    )
    # By this address the package finds the other file, whatever its own release calls it now.
    face_alignment.api.models_urls["2DFAN-4"] = get_weights("2dfan-4").address
    model = face_alignment.FaceAlignment(
        face_alignment.LandmarksType.TWO_D,
        device=device,
        compile=False,
        face_detector_kwargs={"path_to_detector": str(detector_file)},
    )
    return _LibraryNetworks(model)


def _shrunk(frame: VideoFrame, region: Region, scale: float) -> tuple[np.ndarray, float]:
    """The region in RGB, never enlarged, and its scale."""
    scale = min(1.0, scale)
    x0, y0, x1, y1 = region
    # By a whole number while it is converted, so that no picture of the region's full size is made; cv2 does the rest.
    whole = max(1, min(int(1 / scale + 1e-9), x1 - x0, y1 - y0))
    size = (x1 - x0) // whole, (y1 - y0) // whole
    colours = frame.rgb((x0, y0, x0 + size[0] * whole, y0 + size[1] * whole), size if whole > 1 else None)
    rest = scale * whole
    return cv2.resize(np.ascontiguousarray(colours), None, fx=rest, fy=rest, interpolation=cv2.INTER_AREA), scale


def _side(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])
