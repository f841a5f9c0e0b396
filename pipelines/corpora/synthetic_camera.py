"""What a camera adds to a drawn picture: grain that differs from frame to frame, and an exposure that flickers."""

import cv2
import numpy as np

_PAD = 32
"""The grain is drawn once, so many pixels larger than the picture, and cut elsewhere for each frame."""


class Camera:
    """Takes the frames of one video.

    Args:
        rng: stream of the video.
        height: of a picture in pixels.
        width: of a picture in pixels.
        frames: number of pictures to take.
    """

    def __init__(self, rng: np.random.Generator, *, height: int, width: int, frames: int) -> None:
        grain = np.rint(rng.normal(0.0, 1.4, (height + _PAD, width + _PAD, 1)))
        self._grain = grain.astype(np.int16).repeat(3, axis=2)
        self._offsets = rng.integers(0, _PAD, (frames, 2))
        self._gain = 1.0 + 0.03 * rng.normal() + 0.004 * rng.normal(size=frames)

    def take(self, picture: np.ndarray, frame: int) -> np.ndarray:
        """The picture (H, W, 3) uint8 as frame number `frame` shows it."""
        down, right = self._offsets[frame]
        grain = self._grain[down : down + picture.shape[0], right : right + picture.shape[1]]
        return cv2.addWeighted(picture, self._gain[frame], grain, 1.0, 0.0, dtype=cv2.CV_8U)
