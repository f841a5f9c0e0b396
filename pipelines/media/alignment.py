"""From a face in a frame to a square crop.

Decisions:

- With five landmarks the crop is the least-squares similarity onto the template of ArcFace, so eyes and mouth lie at
  the same pixels in every crop; the template fixes the margin. With a box alone it is an upright square with a margin.
- Beyond the frame the border pixels are repeated. Black would tell a network where in the picture the person sits, and
  moving the crop inward would move the face within the crop.
- Crops are shrunk by area averaging, by a whole number, to no less than one and a half times their size, then resampled
  once, bilinearly, at sub-pixel positions: nothing aliases, and a smooth box gives a smooth crop.
"""

import cv2
import numpy as np

from pipelines.media.detectors import Box, Detection, clipped
from pipelines.media.frame import Region, VideoFrame

# InsightFace's published points at pixel centres of a 112x112 crop; half a pixel takes them to pixel edges.
ARCFACE_SIDE = 112
ARCFACE_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""(5, 2) x, y of the eyes, the nose tip and the mouth's corners (Deng et al. 2019, arXiv 1801.07698)."""

OVERSAMPLING = 1.5
"""Least size of the area-averaged picture relative to the crop."""

SMALLEST_SCALE = 1e-3
"""Landmarks whose best fit shrinks the frame further have nothing of a face's shape."""


def crop_face(frame: VideoFrame, face: Detection, size: int, margin: float) -> np.ndarray | None:
    """The face as (size, size, 3) uint8 RGB; None where its square lies beside the frame, or its landmarks fit no face.

    Args:
        frame: the frame that the face was found in.
        face: aligned by its landmarks where it has them, else cut out by its box.
        size: side of the crop in pixels.
        margin: share of the box added on every side; not used with landmarks.
    """
    if face.landmarks is None:
        return _warped(frame, square_transform(face.box, size, margin), size)
    template = (ARCFACE_TEMPLATE + 0.5) * (size / ARCFACE_SIDE)
    return _warped(frame, similarity_transform(face.landmarks, template), size)


def square_transform(box: Box, size: int, margin: float) -> np.ndarray:
    """(2, 3) affine map from the frame to a crop of the square around the box, margin included."""
    side = max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * margin)
    scale = size / side
    left, top = (box[0] + box[2] - side) / 2, (box[1] + box[3] - side) / 2
    return np.array([[scale, 0.0, -scale * left], [0.0, scale, -scale * top]])


def similarity_transform(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(2, 3) rotation, scale and shift of least squared error from (n, 2) points to (n, 2) targets, never mirrored.

    x' = a x - b y + c, y' = b x + a y + d is linear in its four unknowns.
    """
    x, y = np.asarray(points, float).T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(rows, np.asarray(target, float).T.ravel(), rcond=None)[0]
    return np.array([[a, -b, c], [b, a, d]])


def _warped(frame: VideoFrame, transform: np.ndarray, size: int) -> np.ndarray | None:
    scale = float(np.sqrt(np.linalg.det(transform[:, :2])))
    if scale < SMALLEST_SCALE:
        return None
    inverse = cv2.invertAffineTransform(transform)
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) @ inverse[:, :2].T + inverse[:, 2]
    shrink = max(1, int(1 / (OVERSAMPLING * scale)))
    region = _shrinkable(corners.min(0) - 1, corners.max(0) + 1, shrink, frame)
    if region is None:
        return None
    width, height = region[2] - region[0], region[3] - region[1]
    reduced = (-(-width // shrink), -(-height // shrink))
    colours = frame.rgb(region, reduced if shrink > 1 else None)
    # Transforms measure at pixel edges, warpAffine at pixel centres.
    across, down = width / reduced[0], height / reduced[1]
    to_frame = np.array([[across, 0, region[0] + across / 2], [0, down, region[1] + down / 2], [0, 0, 1]])
    matrix = transform @ to_frame - np.array([[0, 0, 0.5], [0, 0, 0.5]])
    return cv2.warpAffine(
        np.ascontiguousarray(colours), matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _shrinkable(low: np.ndarray, high: np.ndarray, shrink: int, frame: VideoFrame) -> Region | None:
    """The region around two corners, widened to whole blocks of shrink x shrink pixels that also split no chroma."""
    block = 2 * shrink
    left, top = np.floor(low / block) * block
    right, bottom = np.ceil(high / block) * block
    region = clipped((left, top, right, bottom), frame)
    if region is None or shrink == 1:
        return region
    # A block that the frame's border cuts is left out: fractional shrinking would take twice as long.
    width, height = (region[2] - region[0]) // block * block, (region[3] - region[1]) // block * block
    return (region[0], region[1], region[0] + width, region[1] + height) if width and height else region
