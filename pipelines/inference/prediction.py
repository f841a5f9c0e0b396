"""What a student said of a whole video: all estimates, and their summary."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipelines.inference.description import StudentDescription
from pipelines.inference.estimates import Estimate, FrameEstimate, WindowEstimate
from pipelines.inference.rows import columns, row
from pipelines.metrics import groups_needed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, kw_only=True)
class Summary:
    """A video in a few numbers.

    Attributes:
        video: its name.
        labels: of the student.
        of_classes: whether they are classes.
        values: mean probabilities of the windows, or mean values of the frames; None without any estimate.
        label: the most probable class; None for continuous dimensions, without an estimate, and where it abstains.
        windows, estimated, abstained: how many windows there were, had an estimate, and had one that was not said.
        frames, frames_estimated: how many frames there were and had an estimate.
        seconds: of the video.
        elapsed_s: that it took.
    """

    video: str
    labels: tuple[str, ...]
    of_classes: bool
    values: np.ndarray | None
    label: str | None
    windows: int
    estimated: int
    abstained: int
    frames: int
    frames_estimated: int
    seconds: float
    elapsed_s: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of video in a second of computing."""
        return self.seconds / self.elapsed_s if self.elapsed_s > 0 else float("inf")


class Tally:
    """Counts estimates as they pass by, in constant memory.

    Args:
        video: its name.
        description: of the student.
        abstain: least probability of a class that is said.
    """

    def __init__(self, video: str, description: StudentDescription, *, abstain: float = 0.0) -> None:
        self._video, self._description, self._abstain = video, description, abstain
        self._windows = self._estimated = self._abstained = self._frames = self._frames_estimated = 0
        self._sum, self._added = np.zeros(len(description.labels)), 0
        self._first_s = self._last_s = 0.0
        self._start, self._elapsed_s = time.perf_counter(), 0.0

    def counted(self, estimates: Iterator[WindowEstimate | FrameEstimate]) -> Iterator[WindowEstimate | FrameEstimate]:
        """The same estimates, counted; the clock runs from the first to the end."""
        self._start = time.perf_counter()
        for estimate in estimates:
            self._count(estimate)
            yield estimate
        self._elapsed_s = time.perf_counter() - self._start

    def _count(self, estimate: WindowEstimate | FrameEstimate) -> None:
        if isinstance(estimate, WindowEstimate):
            self._windows += 1
            self._estimated += estimate.values is not None
            self._abstained += estimate.abstained
        else:
            self._first_s = self._first_s if self._frames else estimate.time_s
            self._frames, self._last_s = self._frames + 1, estimate.time_s
            self._frames_estimated += estimate.values is not None
        # What a trial's student means is smoothed, and frames are what is; a clip's student means windows.
        if estimate.values is not None and isinstance(estimate, FrameEstimate) == self._description.is_sliding:
            self._sum, self._added = self._sum + estimate.values, self._added + 1

    def summary(self) -> Summary:
        """Of what has passed by."""
        values = self._sum / self._added if self._added else None
        label = None
        if values is not None and self._description.of_classes and values.max() >= self._abstain:
            label = self._description.labels[int(values.argmax())]
        shown = self._last_s - self._first_s
        return Summary(
            video=self._video,
            labels=self._description.labels,
            of_classes=self._description.of_classes,
            values=values,
            label=label,
            windows=self._windows,
            estimated=self._estimated,
            abstained=self._abstained,
            frames=self._frames,
            frames_estimated=self._frames_estimated,
            seconds=shown * self._frames / (self._frames - 1) if self._frames > 1 else 0.0,
            elapsed_s=self._elapsed_s or time.perf_counter() - self._start,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Prediction:
    """All estimates of a video.

    Attributes:
        description: of the student.
        windows, frames: in order of time.
        summary: of the video.
    """

    description: StudentDescription
    windows: tuple[WindowEstimate, ...]
    frames: tuple[FrameEstimate, ...]
    summary: Summary

    def to_frame(self, per: Literal["window", "frame"] = "window") -> "pd.DataFrame":
        """A row a window or frame, with the columns of `mtpkd predict`; empty cells are NaN or None."""
        import pandas as pd

        estimates: tuple[Estimate, ...] = self.windows if per == "window" else self.frames
        rows: list[list[Any]] = [row(each, self.summary.video, self.description) for each in estimates]
        return pd.DataFrame(rows, columns=pd.Index(columns(per, self.description)))


def interval_note(description: StudentDescription, level: float, *, per: Literal["window", "frame"]) -> str:
    """Why a table has no intervals of a level, in a sentence; empty where it has."""
    calibration = description.calibration
    if calibration.half_width(level) is not None:
        of_frames = per == "window" and description.is_sliding
        return "intervals are those of smoothed values: see the rows of frames (--per frame)" if of_frames else ""
    if not calibration.known:
        return "no intervals: this student was trained before calibration was recorded; train it again"
    needed = groups_needed(level)
    return f"no {level:.0%} intervals: they take at least {needed} validation groups, this student had fewer"
