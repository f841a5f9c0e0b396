"""Frames as they come -> windows as they close. Only crops that an open window may still need are kept.

- A clip's student was trained on one place in a clip, e.g. seconds 2 to 5: windows of that length lie at that place and
  at whole hops before and after it, wherever the video reaches from their start to their end. So the trained one is
  among them, and is read as in evaluation.
- A trial's student has centres a hop apart, as in training; a trial shorter than one hop has one in its middle.
- A clip's window with a face in fewer of its frames than `faces.min_coverage`, by which training left out whole clips,
  counts as one without a face. A trial's window counts as in evaluation: one face is enough.
- Crops go through JPEG where those of the cache did: a student is to see what it was trained on.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, inf

import numpy as np

from pipelines.inference.description import StudentDescription
from pipelines.media.faces import FaceCrop, decode_jpeg, encode_jpeg
from pipelines.media.sampling import clip_frames, middles, window_frames, window_span
from pipelines.recipe import ClipWindow, SlidingWindows

_ROUNDING = 1e-6
"""Seconds by which time stamps may miss the border of a window."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Window:
    """One window.

    Attributes:
        index: from 0.
        start_s, stop_s: seconds of its first frame and of the end of its last one.
        time_s: its centre.
        next_s: where the next window starts; no later one reaches further back.
        frame: its centre, a frame's number; -1 for a clip's window.
        faces: share of its frames that show a face.
        pixels: (T, S, S, 3) uint8 of the frames that the student sees; None without a face.
        partial: the video is shorter than the window.
    """

    index: int
    start_s: float
    stop_s: float
    time_s: float
    next_s: float = inf
    frame: int = -1
    faces: float
    pixels: np.ndarray | None
    partial: bool = False


class WindowReader(ABC):
    """Collects the crops of one video, a frame at a time.

    Args:
        description: of the student.
    """

    def __init__(self, description: StudentDescription) -> None:
        self._faces, self._frames = description.faces, description.windows.frames
        self._kept: deque[FaceCrop] = deque()
        self._made = self._count = 0
        self._first_s = self._last_s = 0.0

    def add(self, crop: FaceCrop) -> Iterator[Window]:
        """Take the next frame; yields the windows that it closes."""
        if not self._count:
            self._first_s = crop.time_s
        self._count, self._last_s = self._count + 1, crop.time_s
        self._kept.append(crop)
        yield from self._closed()

    def finish(self) -> Iterator[Window]:
        """The windows that the end of the video closes."""
        if self._count:
            yield from self._closed_by_end()

    @abstractmethod
    def _closed(self) -> Iterator[Window]: ...

    @abstractmethod
    def _closed_by_end(self) -> Iterator[Window]: ...

    @property
    def _period(self) -> float:
        """Seconds a frame is shown, on average."""
        return (self._last_s - self._first_s) / (self._count - 1) if self._count > 1 else 0.0

    def _pixels(self, chosen: np.ndarray) -> np.ndarray:
        """(T, S, S, 3) of frames that are kept and show a face."""
        first = self._kept[0].index
        images = []
        for number in chosen:
            image = self._kept[int(number) - first].image
            assert image is not None
            images.append(decode_jpeg(encode_jpeg(image)) if self._faces.storage == "jpeg" else image)
        return np.stack(images)


class ClipReader(WindowReader):
    """Windows of a fixed length in seconds.

    Args:
        description: of the student.
        windows: the place that it was trained on.
        hop: seconds from one window to the next; 0 for the trained one alone, as far as the video reaches.
    """

    def __init__(self, description: StudentDescription, windows: ClipWindow, hop: float) -> None:
        super().__init__(description)
        self._windows, self._hop = windows, hop
        self._place: int | None = None if hop else 0

    def _bounds(self, place: int) -> tuple[float, float]:
        return self._windows.start + place * self._hop, self._windows.stop + place * self._hop

    def _closed(self) -> Iterator[Window]:
        if self._place is None:
            self._place = ceil((self._first_s - self._windows.start - _ROUNDING) / self._hop)
        while (bounds := self._bounds(self._place))[1] <= self._last_s and not (self._made and not self._hop):
            yield self._window(*bounds)
            self._place += 1
        # Until there was a window, all of a video may yet have to make one.
        needed_from = inf if self._made and not self._hop else self._bounds(self._place)[0]
        while (self._made or not self._hop) and self._kept and self._kept[0].time_s < needed_from:
            self._kept.popleft()

    def _closed_by_end(self) -> Iterator[Window]:
        assert self._place is not None
        end = self._last_s + self._period
        start, stop = self._bounds(self._place)
        if not self._hop:
            if not self._made and start <= self._last_s:
                yield self._window(start, stop, ends=min(stop, end))
            return
        while stop <= end + self._period / 2:
            yield self._window(start, stop)
            self._place += 1
            start, stop = self._bounds(self._place)
        if not self._made:
            length = self._windows.stop - self._windows.start
            yield self._window(self._first_s, self._first_s + length, ends=min(self._first_s + length, end))

    def _window(self, start: float, stop: float, *, ends: float | None = None) -> Window:
        inside = [crop for crop in self._kept if start <= crop.time_s < stop]
        valid = np.array([crop.index for crop in inside if crop.image is not None])
        faces = len(valid) / len(inside) if inside else 0.0
        ends = stop if ends is None else ends
        self._made += 1
        return Window(
            index=self._made - 1,
            start_s=start,
            stop_s=ends,
            time_s=(start + ends) / 2,
            next_s=start + self._hop if self._hop else inf,
            faces=faces,
            pixels=self._pixels(clip_frames(valid, middles(self._frames)))
            if len(valid) and faces >= self._faces.min_coverage
            else None,
            partial=ends < stop - self._period / 2 - _ROUNDING,
        )


class TrialReader(WindowReader):
    """Windows of a fixed number of frames, around centres a fixed number of frames apart."""

    def __init__(self, description: StudentDescription, windows: SlidingWindows) -> None:
        super().__init__(description)
        self._stride, self._hop = windows.stride, windows.hop
        self._centre = windows.hop // 2

    def _span(self) -> tuple[int, int]:
        return window_span(self._centre, self._frames, self._stride)

    def _closed(self) -> Iterator[Window]:
        if self._span()[1] > self._count:
            return
        yield self._window()
        while self._kept and self._kept[0].index < self._span()[0]:
            self._kept.popleft()

    def _closed_by_end(self) -> Iterator[Window]:
        if not self._made and self._count <= self._centre:
            self._centre = self._count // 2
        while self._centre < self._count:
            yield self._window()

    def _window(self) -> Window:
        start, stop = self._span()
        centre = self._centre
        inside = [crop for crop in self._kept if start <= crop.index < stop]
        valid = np.array([crop.index for crop in inside if crop.image is not None])
        self._made, self._centre = self._made + 1, centre + self._hop
        return Window(
            index=self._made - 1,
            start_s=inside[0].time_s,
            stop_s=inside[-1].time_s + self._period,
            time_s=next(crop.time_s for crop in inside if crop.index == centre),
            frame=centre,
            faces=len(valid) / len(inside),
            pixels=self._pixels(window_frames(valid, centre, middles(self._frames), self._stride))
            if len(valid)
            else None,
        )
