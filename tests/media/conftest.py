"""A real face from scikit-image, which face-alignment brings along, and frames and videos made of it."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipelines.media.frame import VideoFrame


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """(360, 480, 3) uint8 RGB: an astronaut, her face about 100 pixels wide around x = 225, y = 113."""
    folder = importlib.util.find_spec("skimage").submodule_search_locations[0]
    return np.ascontiguousarray(cv2.imread(str(Path(folder) / "data" / "astronaut.png"))[:360, :480, ::-1])


@pytest.fixture(scope="session")
def as_frame() -> Callable[..., VideoFrame]:
    """Turns an RGB image into a frame: `as_frame(image, index=0, time_s=0.0, ...)`."""

    def make(image: np.ndarray, index: int = 0, time_s: float | None = None, **more) -> VideoFrame:
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        return VideoFrame(index=index, time_s=index / 25 if time_s is None else time_s, picture=picture, **more)

    return make
