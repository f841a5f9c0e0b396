"""What a student says, and what its numbers mean: probabilities that can be trusted, intervals, and when it is silent.

- Logits are divided by the calibrated temperature; a probability below what the user asks for is no label.
- Intervals are as wide as split conformal prediction found them to have to be. Those of trials were measured on
  smoothed values of frames, so that the raw value of a window has none.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from pipelines.inference.description import StudentDescription
from pipelines.media.detectors import Box


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimate:
    """What is said of a window or a frame.

    Attributes:
        values: (C,) probabilities of the classes, or (K,) values; None where there is no estimate.
        label: the most probable class; None for continuous dimensions, without an estimate, and where it abstains.
        abstained: whether the most probable class was not probable enough.
        low, high: (K,) borders of the interval; None where there is none.
    """

    values: np.ndarray | None = None
    label: str | None = None
    abstained: bool = False
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowEstimate(Estimate):
    """What is said of a window.

    Attributes:
        index: of the window, from 0.
        start_s, stop_s: seconds of its first frame and of the end of its last one.
        time_s: its centre.
        faces: share of its frames that show a face.
        partial: the video is shorter than the window.
    """

    index: int
    start_s: float
    stop_s: float
    time_s: float
    faces: float
    partial: bool = False
    per: ClassVar[str] = "window"

    @property
    def status(self) -> str:
        """`estimate`, `abstained` or `no face`."""
        if self.values is None:
            return "no face"
        return "abstained" if self.abstained else "estimate"


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameEstimate(Estimate):
    """What is said of a frame: never anything of one without a face.

    Attributes:
        index: of the frame, from 0.
        time_s: its time stamp.
        box: the face in pixels of the upright frame; None without one.
    """

    index: int
    time_s: float
    box: Box | None
    per: ClassVar[str] = "frame"

    @property
    def status(self) -> str:
        """`estimate`, `abstained`, `no face`, or `no window` where no window that could be predicted holds it."""
        if self.values is None:
            return "no face" if self.box is None else "no window"
        return "abstained" if self.abstained else "estimate"


class Said(NamedTuple):
    """The fields of `Estimate`."""

    values: np.ndarray | None
    label: str | None
    abstained: bool
    low: np.ndarray | None
    high: np.ndarray | None


@dataclass(frozen=True)
class Meaning:
    """How outputs are read.

    Attributes:
        description: of the student.
        abstain: least probability of a class that is said.
        interval: share of new people's values that an interval is to hold.
    """

    description: StudentDescription
    abstain: float = 0.0
    interval: float = 0.9

    def values(self, output: np.ndarray) -> np.ndarray | None:
        """(C,) output of a runtime -> probabilities or values; None where it is NaN."""
        if np.isnan(output).any():
            return None
        output = output.astype(np.float64)
        if self.description.of_classes:
            scaled = output / self.description.calibration.temperature
            weights = np.exp(scaled - scaled.max())
            return weights / weights.sum()
        return output

    def said(self, values: np.ndarray | None, *, of_window: bool) -> Said:
        """What is said where the values are these."""
        if values is None:
            return Said(None, None, False, None, None)
        if self.description.of_classes:
            abstained = bool(values.max() < self.abstain)
            label = None if abstained else self.description.labels[int(values.argmax())]
            return Said(values, label, abstained, None, None)
        width = self.description.calibration.half_width(self.interval)
        if width is None or (of_window and self.description.is_sliding):
            return Said(self._within(values), None, False, None, None)
        return Said(self._within(values), None, False, self._within(values - width), self._within(values + width))

    def _within(self, values: np.ndarray) -> np.ndarray:
        """Without what the annotation of trials cannot be."""
        return values.clip(-1.0, 1.0) if self.description.is_sliding else values
