"""What windows say, spread over their frames, in order and with a bounded look-ahead.

- A frame of a clip's student has the mean of the windows that hold it.
- A frame of a trial's student has what evaluation gives it (`pipelines.training.dense`): values between centres are
  interpolated, ends repeated, all smoothed by a centred average. Where there was no face for longer than is waited, the
  frames at the front of the gap take the last value instead of looking across it; all others are as in evaluation.
- A frame without a face has no estimate, whatever lies around it.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

import numpy as np

from pipelines.inference.estimates import FrameEstimate, Meaning
from pipelines.inference.windows import Window
from pipelines.media.faces import FaceCrop
from pipelines.training.dense import dense_values, smoothing_width


@dataclass(frozen=True)
class _Spoken:
    start_s: float
    stop_s: float
    values: np.ndarray | None


class Spreader(ABC):
    """Takes frames as they come and windows as they are estimated, and gives frames as they are settled."""

    def __init__(self, meaning: Meaning) -> None:
        self._meaning = meaning
        self._pending: deque[FaceCrop] = deque()

    def add_frame(self, crop: FaceCrop) -> None:
        """The next frame; its picture is not kept."""
        box = crop.box if crop.image is not None else None
        self._pending.append(FaceCrop(crop.index, crop.time_s, box, None))

    @abstractmethod
    def add_window(self, window: Window, values: np.ndarray | None) -> None:
        """The next window, and what is said of it; all of its frames have been added."""

    @abstractmethod
    def settled(self) -> Iterator[FrameEstimate]:
        """The frames that nothing will change any more."""

    @abstractmethod
    def finish(self) -> Iterator[FrameEstimate]:
        """All others, once the video is over."""

    def _estimate(self, values: np.ndarray | None) -> FrameEstimate:
        """Of the oldest frame, which is forgotten."""
        frame = self._pending.popleft()
        said = self._meaning.said(None if frame.box is None else values, of_window=False)
        return FrameEstimate(index=frame.index, time_s=frame.time_s, box=frame.box, **said._asdict())


class ClipSpreader(Spreader):
    """For students of clips."""

    def __init__(self, meaning: Meaning) -> None:
        super().__init__(meaning)
        self._spoken: deque[_Spoken] = deque()
        self._next_s = -inf

    def add_window(self, window: Window, values: np.ndarray | None) -> None:
        """See Spreader."""
        self._spoken.append(_Spoken(window.start_s, inf if window.partial else window.stop_s, values))
        self._next_s = window.next_s

    def settled(self) -> Iterator[FrameEstimate]:
        """See Spreader: the frames before the next window."""
        while self._pending and (time_s := self._pending[0].time_s) < self._next_s:
            while self._spoken and self._spoken[0].stop_s <= time_s:
                self._spoken.popleft()
            around = [each.values for each in self._spoken if each.start_s <= time_s < each.stop_s]
            known = [values for values in around if values is not None]
            yield self._estimate(np.mean(known, axis=0) if known else None)

    def finish(self) -> Iterator[FrameEstimate]:
        """See Spreader."""
        self._next_s = inf
        return self.settled()


class TrialSpreader(Spreader):
    """For students of trials.

    Args:
        meaning: of the values.
        width: frames that are averaged, odd; None where it has to be told from the frames seen so far.
        patience: most frames that wait for the next window with a face.
    """

    def __init__(self, meaning: Meaning, *, width: int | None, patience: int) -> None:
        super().__init__(meaning)
        self._width, self._patience = width, patience
        self._last: tuple[int, np.ndarray] | None = None
        self._values: list[np.ndarray] = []
        self._first = 0  # the frame of the first of the values
        self._count, self._start_s, self._end_s = 0, 0.0, 0.0

    @property
    def _known(self) -> int:
        """Frames from the video's start whose value before smoothing is settled."""
        return self._first + len(self._values)

    def add_frame(self, crop: FaceCrop) -> None:
        """See Spreader."""
        super().add_frame(crop)
        if not self._count:
            self._start_s = crop.time_s
        self._count, self._end_s = self._count + 1, crop.time_s
        if self._count - self._known > self._patience:
            self._values.append(self._held())

    def add_window(self, window: Window, values: np.ndarray | None) -> None:
        """See Spreader."""
        if values is None:
            return
        known = [*([] if self._last is None else [self._last]), (window.frame, values)]
        frames = window.frame + 1 - self._known
        if frames > 0:
            centres = np.array([centre - self._known for centre, _ in known])
            self._values += list(dense_values(centres, np.stack([each for _, each in known]), frames))
        self._last = window.frame, values

    def settled(self) -> Iterator[FrameEstimate]:
        """See Spreader: the frames whose neighbours are known as far as the average reaches."""
        while self._pending and self._pending[0].index + self._half() < self._known:
            yield self._smoothed()

    def finish(self) -> Iterator[FrameEstimate]:
        """See Spreader."""
        self._values += [self._held()] * (self._count - self._known)
        while self._pending:
            yield self._smoothed()

    def _held(self) -> np.ndarray:
        """The last value, in its range; NaN before the first."""
        return (
            np.full(len(self._meaning.description.labels), np.nan) if self._last is None else self._last[1].clip(-1, 1)
        )

    def _half(self) -> int:
        width = self._width
        if width is None:
            seconds, spread = self._meaning.description.calibration.smoothing_s, self._end_s - self._start_s
            width = smoothing_width(seconds, frames=self._count, spread=spread)
        return width // 2

    def _smoothed(self) -> FrameEstimate:
        frame, half = self._pending[0].index, self._half()
        near = np.stack(self._values[max(frame - half - self._first, 0) : frame + half + 1 - self._first])
        near = near[~np.isnan(near).any(axis=1)]
        if frame - half - self._first > 2 * half + 64:  # forgotten now and then, not at every frame
            forgotten = frame - half - self._first
            del self._values[:forgotten]
            self._first += forgotten
        return self._estimate(near.mean(axis=0) if len(near) else None)
