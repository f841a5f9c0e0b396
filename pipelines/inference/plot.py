"""The estimate over time as a figure, with gaps where there is no face."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.inference.description import StudentDescription
from pipelines.inference.estimates import FrameEstimate, WindowEstimate
from pipelines.inference.strip import colour_of, runs, value_range
from pipelines.media.outputs import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 20_000
"""Frames that are drawn; of longer videos every second, every fourth and so on."""


class Curve:
    """Collects the frames of a video, in bounded memory, and draws them.

    Args:
        description: of the student.
        title: of the figure.
        interval: share of new people's values that the band is to hold.
        threshold: least probability of a class that is said.
    """

    def __init__(self, description: StudentDescription, *, title: str, interval: float, threshold: float = 0.0) -> None:
        self._description, self._title, self._threshold = description, title, threshold
        self._interval = interval
        self._frames: list[FrameEstimate] = []
        self._step, self._seen = 1, 0

    def collected(
        self, estimates: Iterable[WindowEstimate | FrameEstimate]
    ) -> Iterator[WindowEstimate | FrameEstimate]:
        """The same estimates."""
        for estimate in estimates:
            if isinstance(estimate, FrameEstimate):
                if self._seen % self._step == 0:
                    self._frames.append(estimate)
                self._seen += 1
                if len(self._frames) > _MOST:
                    self._frames, self._step = self._frames[::2], 2 * self._step
            yield estimate

    def save(self, path: Path) -> None:
        """Draw; the format is that of the path's suffix. Raises SettingsError where it cannot be written."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 3.6), layout="constrained")
        axes = figure.subplots()
        times = np.array([frame.time_s for frame in self._frames])
        self._shade_gaps(axes, times)
        for number, label in enumerate(self._description.labels):
            self._draw(axes, times, number, label)
        if self._threshold:
            axes.axhline(self._threshold, color="0.4", linestyle=":", linewidth=1)
        low, high = value_range(self._description)
        axes.set(xlim=(times[0], max(times[-1], times[0] + 1e-3)) if len(times) else (0, 1), ylim=(low, high))
        axes.set(xlabel="seconds", ylabel="probability" if self._description.of_classes else "value")
        axes.set_title(self._title, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
        figure.legend(loc="outside right upper", frameon=False)
        save_figure(figure, path)

    def _draw(self, axes: "Axes", times: np.ndarray, number: int, label: str) -> None:
        colour = "#{:02x}{:02x}{:02x}".format(*colour_of(number))
        values, low, high = (
            np.array([np.nan if (each := getattr(f, name)) is None else each[number] for f in self._frames])
            for name in ("values", "low", "high")
        )
        axes.plot(times, values, color=colour, linewidth=1.8, label=label)
        if not np.isnan(low).all():
            band = f"{self._interval:.0%} interval" if number == 0 else None
            axes.fill_between(times, low, high, color=colour, alpha=0.18, linewidth=0, label=band)

    def _shade_gaps(self, axes: "Axes", times: np.ndarray) -> None:
        gaps = runs(np.array([frame.box is None for frame in self._frames], bool))
        for number, gap in enumerate(gaps):
            stop = min(gap.stop, len(times) - 1)
            name = "no face" if number == 0 else None
            axes.axvspan(float(times[gap.start]), float(times[stop]), color="0.5", alpha=0.2, linewidth=0, label=name)
