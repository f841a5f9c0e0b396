"""Where the frames come from: a file, or a camera."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from pipelines.media.camera import read_camera
from pipelines.media.detectors import Detector, make_detector
from pipelines.media.faces import FaceCrop, crop_faces, crops_of, decode_jpeg, encode_jpeg
from pipelines.media.frame import VideoFrame
from pipelines.media.time_stamps import frame_times
from pipelines.media.video import probe, read_frames
from pipelines.recipe import FaceSettings
from pipelines.training.dense import smoothing_width


class Source(Protocol):
    """A video."""

    @property
    def name(self) -> str:
        """What it is called in tables and messages."""
        ...

    @property
    def live(self) -> bool:
        """Whether somebody waits for the results: then windows are not collected to be computed together."""
        ...

    def crops(self, settings: FaceSettings, detector: Detector | None) -> Iterator[FaceCrop]:
        """Every frame in order, with the subject's face where it is seen."""
        ...

    def smoothing_width(self, seconds: float) -> int | None:
        """Frames in so many seconds, an odd number; None where that is not known beforehand."""
        ...

    def pictures(self) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 RGB of every frame, upright, to be asked for after its crop has been."""
        ...

    @property
    def rate(self) -> float | None:
        """Frames a second, the same all along; None where they come as they come."""
        ...

    @property
    def seconds(self) -> float | None:
        """How long it is; None where that is not known beforehand."""
        ...


@dataclass(frozen=True)
class VideoFile:
    """A video file, or a still image.

    Attributes:
        path: of it.
        live: see Source.
    """

    path: Path
    live: bool = False

    @property
    def name(self) -> str:
        """See Source."""
        return str(self.path)

    def crops(self, settings: FaceSettings, detector: Detector | None) -> Iterator[FaceCrop]:
        """See Source and `pipelines.media.faces.crop_faces`."""
        return crop_faces(self.path, settings, detector=detector)

    def smoothing_width(self, seconds: float) -> int | None:
        """See Source: from the time stamps, as in evaluation, without decoding."""
        if not seconds:
            return 1
        times = frame_times(self.path)
        return smoothing_width(seconds, frames=len(times), spread=times[-1] - times[0])

    def pictures(self) -> Iterator[np.ndarray]:
        """See Source: decoded a second time, because to keep them would take more memory than there is."""
        return (frame.rgb() for frame in read_frames(self.path))

    @property
    def rate(self) -> float | None:
        """See Source."""
        return probe(self.path).rate or None

    @property
    def seconds(self) -> float | None:
        """See Source."""
        return probe(self.path).duration_s


@dataclass(frozen=True)
class Camera:
    """A camera.

    Attributes:
        index: of the camera, from 0.
        seconds: how long it is read; None until it is stopped.
        stopped: asked before every frame whether to end.
        live: see Source.
        keeps_pictures: whether `pictures` will be asked for; they are kept as JPEG until then.
    """

    index: int
    seconds: float | None = None
    stopped: Callable[[], bool] = lambda: False
    live: bool = True
    keeps_pictures: bool = False
    _kept: deque[bytes] = field(default_factory=deque, repr=False, compare=False)

    @property
    def name(self) -> str:
        """See Source."""
        return f"camera {self.index}"

    def crops(self, settings: FaceSettings, detector: Detector | None) -> Iterator[FaceCrop]:
        """See Source and `pipelines.media.camera.read_camera`."""
        frames = read_camera(self.index, seconds=self.seconds, stopped=self.stopped)
        if self.keeps_pictures:
            frames = self._keeping(frames)
        return crops_of(frames, settings, detector=detector or make_detector(settings))

    def _keeping(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        for frame in frames:
            self._kept.append(encode_jpeg(frame.rgb()))
            yield frame

    def smoothing_width(self, seconds: float) -> int | None:
        """See Source: cameras slow down in the dark, so that their rate is not known."""
        return None if seconds else 1

    def pictures(self) -> Iterator[np.ndarray]:
        """See Source."""
        while self._kept:
            yield decode_jpeg(self._kept.popleft())

    @property
    def rate(self) -> float | None:
        """See Source."""
        return None
