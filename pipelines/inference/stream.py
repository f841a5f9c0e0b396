"""Crops -> windows -> runtime -> estimates, as they come: memory does not grow with the length of a video.

Estimates of windows and of frames come as one sequence, each kind in order of time. A frame's comes when the windows
that decide it have been estimated; windows are estimated a few at a time, because that is faster, and one by one where
somebody waits.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from pipelines.inference.description import StudentDescription
from pipelines.inference.estimates import FrameEstimate, Meaning, WindowEstimate
from pipelines.inference.frames import ClipSpreader, Spreader, TrialSpreader
from pipelines.inference.runtime import Runtime
from pipelines.inference.windows import ClipReader, TrialReader, Window, WindowReader
from pipelines.media.faces import FaceCrop
from pipelines.media.sampling import standardised
from pipelines.recipe import ClipWindow

_AT_ONCE = 8
"""Windows in one call of the runtime, beside their neighbours."""
_PATIENCE, _LIVE_PATIENCE = 9000, 300
"""Most frames without a face that are waited through to look across them; five minutes, and ten seconds of a camera."""

Said = WindowEstimate | FrameEstimate


def stream(
    crops: Iterable[FaceCrop],
    runtime: Runtime,
    *,
    meaning: Meaning,
    hop: float = 1.0,
    width: int | None = None,
    live: bool = False,
) -> Iterator[Said]:
    """Yields the estimates of one video.

    Args:
        crops: every frame of it.
        runtime: the student.
        meaning: how its outputs are read.
        hop: seconds between the windows of a student of clips; 0 for the trained window alone.
        width: frames that the values of a trial are averaged over, odd; None to tell it from the frames seen so far.
        live: whether somebody waits.
    """
    reader, spreader = _ends(runtime.description, meaning, hop=hop, width=width, live=live)
    batches = _Batches(runtime, at_once=1 if live else _AT_ONCE)

    def said(computed: Iterable[tuple[Window, np.ndarray]]) -> Iterator[Said]:
        for window, output in computed:
            values = meaning.values(output)
            spreader.add_window(window, values)
            yield _window_estimate(window, values, meaning)
            yield from spreader.settled()

    for crop in crops:
        spreader.add_frame(crop)
        for window in reader.add(crop):
            yield from said(batches.add(window))
        yield from spreader.settled()
    for window in reader.finish():
        yield from said(batches.add(window))
    yield from said(batches.finish())
    yield from spreader.finish()


def _ends(
    description: StudentDescription, meaning: Meaning, *, hop: float, width: int | None, live: bool
) -> tuple[WindowReader, Spreader]:
    """What makes windows of frames, and what spreads values of windows over frames."""
    windows = description.windows
    if isinstance(windows, ClipWindow):
        return ClipReader(description, windows, hop), ClipSpreader(meaning)
    patience = _LIVE_PATIENCE if live else _PATIENCE
    return TrialReader(description, windows), TrialSpreader(meaning, width=width, patience=patience)


def _window_estimate(window: Window, values: np.ndarray | None, meaning: Meaning) -> WindowEstimate:
    return WindowEstimate(
        index=window.index,
        start_s=window.start_s,
        stop_s=window.stop_s,
        time_s=window.time_s,
        faces=window.faces,
        partial=window.partial,
        **meaning.said(values, of_window=True)._asdict(),
    )


class _Batches:
    """Collects windows until a few can be computed together with their neighbours."""

    def __init__(self, runtime: Runtime, *, at_once: int) -> None:
        self._runtime, self._at_once = runtime, at_once
        self._half = runtime.description.windows.context // 2
        self._queue: list[Window] = []
        self._computed = 0  # of the queue, kept for those after them

    def add(self, window: Window) -> Iterator[tuple[Window, np.ndarray]]:
        """Take a window; yields those that can be computed now, with their outputs (C,)."""
        self._queue.append(window)
        if len(self._queue) - self._computed - self._half >= self._at_once:
            yield from self._compute(len(self._queue) - self._half)

    def finish(self) -> Iterator[tuple[Window, np.ndarray]]:
        """All others."""
        if self._computed < len(self._queue):
            yield from self._compute(len(self._queue))

    def _compute(self, stop: int) -> Iterator[tuple[Window, np.ndarray]]:
        outputs = self._outputs()
        chosen = range(self._computed, stop)
        result = [(self._queue[number], outputs[number]) for number in chosen]
        kept = max(stop - self._half, 0)
        self._queue, self._computed = self._queue[kept:], stop - kept
        yield from result

    def _outputs(self) -> np.ndarray:
        """(W, C) of the whole queue."""
        present = np.array([window.pixels is not None for window in self._queue])
        if not present.any():
            return np.full((len(present), len(self._runtime.description.labels)), np.nan)
        frames, size = self._runtime.description.windows.frames, self._runtime.description.faces.size
        values = np.zeros((len(present), 3, frames, size, size), np.float32)
        for row, window in enumerate(self._queue):
            if window.pixels is not None:
                values[row] = standardised(window.pixels)
        return self._runtime(values, present)
