"""A real face from scikit-image, which face-alignment brings along, and frames and videos made of it."""

import importlib.util
from collections.abc import Callable
from fractions import Fraction
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


@pytest.fixture
def record(tmp_path) -> Callable[..., Path]:
    """Writes sound at given seconds, and a dark video from second 0: `record("a.mkv", [(0.5, samples), ...])`.

    Samples are (n,) or (channels, n) float, full scale at 1.
    """

    def write(
        name: str,
        pieces: list[tuple[float, np.ndarray]],
        *,
        rate: int = 16000,
        codec: str = "pcm_s16le",
        packet: int = 1600,
        video: bool = False,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate)
            channels = np.atleast_2d(pieces[0][1]).shape[0] if pieces else 1
            stream.layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
            pictures = _add_pictures(container) if video else []
            for packets in pictures:
                container.mux(packets)
            for start_s, samples in pieces:
                samples = np.atleast_2d(samples)
                for first in range(0, samples.shape[1], packet):
                    frame = _as_sound(samples[:, first : first + packet], stream)
                    frame.pts, frame.time_base = round(start_s * rate) + first, Fraction(1, rate)
                    container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


def _add_pictures(container) -> list:
    """Half a second of black at 25 a second."""
    stream = container.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
    packets = []
    for index in range(12):
        picture.pts, picture.time_base = index, Fraction(1, 25)
        packets += stream.encode(picture)
    return [*packets, *stream.encode(None)]


def _as_sound(samples: np.ndarray, stream) -> av.AudioFrame:
    kind = stream.codec_context.format.name
    scale, dtype = {"s16": (32767, np.int16), "u8": (127, np.uint8), "s32": (2**31 - 1, np.int32)}.get(
        kind.removesuffix("p"), (1, np.float32)
    )
    values = samples * scale + (128 if dtype is np.uint8 else 0)
    values = (np.round(values) if dtype is not np.float32 else values).astype(dtype)
    if not kind.endswith("p"):
        values = values.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(values), format=kind, layout=stream.layout.name)
    frame.sample_rate = stream.rate
    return frame
