"""What a file of predictions is reduced to before anything is compared.

Decisions. Whole clips are few and stay as they are, classes and continuous values alike: the AUC needs all of them at
once. Frames are many, so a file of them is read trial by trial and only the statistics of each trial are kept: a few
numbers, however long it is. Both can then be restricted to some clips, which is what makes a method comparable with a
baseline that could not predict the same ones.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.cache.predictions import holds_frames, read_annotated_predictions, read_predictions
from pipelines.metrics import GroupStatistics, Metric, Predictions, concatenate, metrics_for
from pipelines.recipe import Task


class Measured(ABC):
    """The predictions of one method on the test clips of a fold, or of all folds of a seed."""

    @property
    @abstractmethod
    def group_of(self) -> Mapping[str, str]:
        """Clip (or trial) -> the group that it is resampled with."""

    @property
    @abstractmethod
    def frames(self) -> int:
        """Annotated frames of trials, 0 of whole clips."""

    @abstractmethod
    def only(self, clips: Set[str]) -> "Measured":
        """The same of some clips; those that were not predicted are not missed."""

    @abstractmethod
    def statistics(self, metric: Metric[Any]) -> GroupStatistics:
        """A metric's statistics a group. ValueError where there is no clip."""

    def value(self, metric: Metric[Any]) -> np.ndarray:
        """(K,) values of a metric on all clips, K = 1 for classes. ValueError where there is no clip."""
        statistics = self.statistics(metric)
        return np.atleast_1d(metric.value(statistics, np.ones((1, len(statistics.groups))))[0])

    @property
    def clips_by_group(self) -> dict[str, int]:
        """Group, in sorted order -> its clips."""
        return dict(sorted(Counter(self.group_of.values()).items()))


@dataclass(frozen=True)
class MeasuredClips(Measured):
    """Predictions of whole clips, as they are."""

    predictions: Predictions

    @property
    def group_of(self) -> Mapping[str, str]:
        return dict(zip(self.predictions.clips.tolist(), self.predictions.groups.tolist(), strict=True))

    @property
    def frames(self) -> int:
        return 0

    def only(self, clips: Set[str]) -> "MeasuredClips":
        whole = self.predictions
        kept = np.array([clip in clips for clip in whole.clips.tolist()], dtype=bool)
        return MeasuredClips(Predictions(whole.groups[kept], whole.clips[kept], whole.target[kept], whole.scores[kept]))

    def statistics(self, metric: Metric[Any]) -> GroupStatistics:
        return metric.accumulate(self.predictions)


@dataclass(frozen=True)
class _Trial:
    """One trial: its group, its annotated frames, and what each way of accumulating made of them."""

    group: str
    frames: int
    statistics: Mapping[Callable[..., Any], GroupStatistics]


@dataclass(frozen=True)
class MeasuredTrials(Measured):
    """Predictions of frames, reduced to statistics a trial."""

    trials: Mapping[str, _Trial]

    @property
    def group_of(self) -> Mapping[str, str]:
        return {clip: trial.group for clip, trial in self.trials.items()}

    @property
    def frames(self) -> int:
        return sum(trial.frames for trial in self.trials.values())

    def only(self, clips: Set[str]) -> "MeasuredTrials":
        return MeasuredTrials({clip: trial for clip, trial in self.trials.items() if clip in clips})

    def statistics(self, metric: Metric[Any]) -> GroupStatistics:
        return metric.merge([trial.statistics[_way(metric)] for trial in self.trials.values()])


def measure(path: Path, task: Task) -> Measured:
    """Read the predictions of one method on one fold.

    Raises:
        MtpkdError: the file does not hold this task's predictions, or a model diverged.
    """
    if task.kind == "classes" or not holds_frames(path):
        return MeasuredClips(read_predictions(path, task))
    # CCC, RMSE and Pearson's r are read off the same moments: these are computed once.
    ways = {_way(metric): metric for metric in metrics_for(task)}
    trials: dict[str, _Trial] = {}
    for part in read_annotated_predictions(path, task):
        statistics = {way: metric.accumulate(part) for way, metric in ways.items()}
        trials[str(part.clips[0])] = _Trial(str(part.groups[0]), len(part.clips), statistics)
    return MeasuredTrials(trials)


def join(parts: Sequence[Measured]) -> Measured:
    """All folds of one seed, which together hold every test clip once."""
    whole = [part.predictions for part in parts if isinstance(part, MeasuredClips)]
    if whole:
        return MeasuredClips(concatenate(whole))
    return MeasuredTrials(
        {clip: t for part in parts if isinstance(part, MeasuredTrials) for clip, t in part.trials.items()}
    )


def _way(metric: Metric[Any]) -> Callable[..., Any]:
    """What reduces predictions for a metric; the same function for metrics that share their statistics."""
    return type(metric).accumulate
