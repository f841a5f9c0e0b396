"""What a metric is: a function of statistics that are summed per group.

Decisions. Test clips of one subject are not independent, so everything is resampled by whole groups. A metric therefore
first reduces the predictions to one statistic a group (`accumulate`), and then reads its value off a weighted sum of
them (`value`). A resample of groups is a row of weights, so that a bootstrap is exact, vectorised, never concatenates
samples, and its memory does not grow with the number of clips or frames. Statistics of parts (one trial after another)
are merged, so that what is too large to be held is measured part by part.

A value that is not defined (the AUC of a single class) is NaN, never a number that looks like one.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import numpy as np

from pipelines.errors import MtpkdError
from pipelines.recipe import Task

PROBABILITY_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Predictions:
    """What a model said about test clips.

    Attributes:
        groups: (n,) names of what is resampled whole, e.g. subjects or videos.
        clips: (n,) names of the clips; where a row is one frame, the name of its trial.
        target: (n,) integer class indices, or (n, K) continuous values.
        scores: (n, C) class probabilities, or (n, K) continuous predictions.

    Raises:
        MtpkdError: a score or a continuous target is NaN or infinite, as after a training that diverged.
        ValueError: shapes that do not fit, a class index without a column, scores that are no probabilities.
    """

    groups: np.ndarray
    clips: np.ndarray
    target: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.target)
        if self.groups.shape != (n,) or self.clips.shape != (n,) or self.scores.ndim != 2 or len(self.scores) != n:
            shapes = f"groups {self.groups.shape}, clips {self.clips.shape}, scores {self.scores.shape}"
            raise ValueError(f"predictions need one row a clip, got target {self.target.shape}, {shapes}")
        self._check_finite(self.scores, "prediction", "its training diverged, lower the learning rate")
        if self.of_classes:
            self._check_classes()
        elif self.target.shape != self.scores.shape:
            raise ValueError(f"continuous target {self.target.shape} and scores {self.scores.shape} differ in shape")
        else:
            self._check_finite(self.target, "label", "leave it out")

    @property
    def of_classes(self) -> bool:
        """Whether the target is a class index rather than continuous values."""
        return self.target.ndim == 1

    def _check_finite(self, values: np.ndarray, what: str, remedy: str) -> None:
        finite = np.isfinite(values).all(axis=1)
        if not finite.all():
            rows = "frames" if len(np.unique(self.clips)) < finite.size else "clips"
            raise MtpkdError(
                f"the {what} of clip {self.clips[finite.argmin()]} is not a finite number "
                f"({(~finite).sum()} of {finite.size} {rows}): {remedy}"
            )

    def _check_classes(self) -> None:
        if not np.issubdtype(self.target.dtype, np.integer):
            raise ValueError(f"class indices must be integers, got {self.target.dtype}")
        classes = self.scores.shape[1]
        outside = (self.target < 0) | (self.target >= classes)
        if outside.any():
            raise ValueError(f"class index {self.target[outside.argmax()]} for {classes} columns of scores")
        off = np.abs(self.scores.sum(axis=1, dtype=np.float64) - 1) > PROBABILITY_TOLERANCE
        off |= (self.scores < -PROBABILITY_TOLERANCE).any(axis=1)
        if off.any():
            clip, row = self.clips[off.argmax()], self.scores[off.argmax()].tolist()
            raise ValueError(f"scores must be probabilities, got {row} for clip {clip}")


def concatenate(parts: Sequence[Predictions]) -> Predictions:
    """All folds of one seed as one set of predictions; together they hold every test clip once."""
    return Predictions(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("groups", "clips", "target", "scores"))
    )


@dataclass(frozen=True)
class GroupStatistics:
    """Base of what `accumulate` returns.

    Attributes:
        groups: G group names in sorted order, the order of every array's group axis.
        clips: (G,) clips (rows) of each group.
    """

    groups: tuple[str, ...]
    clips: np.ndarray


def index_groups(groups: np.ndarray) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names of the G groups in sorted order, the (n,) index of each row's group, and (G,) rows a group."""
    names, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return tuple(str(name) for name in names), index.reshape(-1), counts


def join_groups(parts: Sequence[GroupStatistics]) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """What the groups of P concatenated rows of several statistics become when they are merged.

    Returns:
        Names of the G groups in sorted order, the (P,) index of each row's group, and (G,) clips a group.

    Raises:
        ValueError: there is nothing to merge.
    """
    if not parts:
        raise ValueError("there are no statistics to merge")
    groups, index, _ = index_groups(np.array([name for part in parts for name in part.groups], dtype=str))
    return groups, index, sum_rows(np.concatenate([part.clips for part in parts]), index, len(groups))


def sum_rows(rows: np.ndarray, index: np.ndarray, groups: int) -> np.ndarray:
    """(P, ...) rows -> (G, ...): the sum of the rows of each group."""
    total = np.zeros((groups, *rows.shape[1:]), dtype=rows.dtype)
    np.add.at(total, index, rows)
    return total


Statistics = TypeVar("Statistics", bound=GroupStatistics)


class Metric(ABC, Generic[Statistics]):
    """One number, or one a continuous dimension, that says how good predictions are.

    Attributes:
        name: as on the command line and in results.csv.
        higher_is_better: False for errors.
        percent: whether people read it in percent.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool] = True
    percent: ClassVar[bool] = False

    def fits(self, task: Task) -> bool:
        """Whether the metric makes sense for the task."""
        return self.misfit(task) is None

    @abstractmethod
    def misfit(self, task: Task) -> str | None:
        """Why the metric makes no sense for the task, as half a sentence; None where it does."""

    @abstractmethod
    def accumulate(self, predictions: Predictions) -> Statistics:
        """Reduce predictions to statistics a group."""

    @abstractmethod
    def merge(self, parts: Sequence[Statistics]) -> Statistics:
        """The statistics of everything that the parts were made of, each row in one of them.

        Parts may share groups (two trials of one video, chunks of one trial) or not; the groups are sorted again.

        Raises:
            ValueError: there is no part, or the metric cannot be computed in parts.
        """

    @abstractmethod
    def value(self, statistics: Statistics, weights: np.ndarray) -> np.ndarray:
        """The metric on weighted groups.

        Args:
            statistics: of G groups.
            weights: (R, G) how often each group counts; ones give the metric itself, a unit row gives one group's.

        Returns:
            (R,) values, or (R, K) for K continuous dimensions; NaN where the metric is not defined.
        """
