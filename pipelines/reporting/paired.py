"""Predictions of several methods on the same test clips: read once, resampled alike, paired clip by clip."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import MtpkdError
from pipelines.metrics import Estimate, GroupStatistics, Metric, bootstrap_weights, paired_difference, summarise
from pipelines.recipe import EvaluationSettings, Task
from pipelines.reporting.measured import Measured, join, measure

_BOOTSTRAP_SEED = 20240819
Files = Mapping[tuple[int, int], Path]
"""(fold, seed) -> file of predictions of that fold's test clips."""
ByCell = Mapping[tuple[int, int], Measured]


@dataclass(frozen=True)
class Sampler:
    """One matrix of resampled groups for all methods and metrics, so that differences are paired."""

    groups: list[str]
    weights: np.ndarray
    confidence: float

    def options(self, statistics: GroupStatistics) -> dict[str, Any]:
        there = set(statistics.groups)
        return {"weights": self.weights[:, [g in there for g in self.groups]], "confidence": self.confidence}


@dataclass(frozen=True)
class PairedStatistics:
    """One metric of one method: its statistics, one a seed, and both sides' on the clips shared with the baseline."""

    metric: Metric[Any]
    own: Sequence[GroupStatistics]
    shared: tuple[Sequence[GroupStatistics], Sequence[GroupStatistics]] | None

    @classmethod
    def of(
        cls, metric: Metric[Any], parts: Sequence[Measured], baseline: Sequence[Measured] | None
    ) -> "PairedStatistics":
        own = [part.statistics(metric) for part in parts] if parts[0].group_of else []
        common = parts[0].group_of.keys() & baseline[0].group_of.keys() if baseline is not None else set()
        if baseline is None or not common:
            return cls(metric, own, None)
        mine, theirs = ([part.only(common).statistics(metric) for part in side] for side in (parts, baseline))
        return cls(metric, own, (mine, theirs))

    def estimates(self, sampler: Sampler, dimension: int | None) -> tuple[Estimate | None, Estimate | None]:
        """The value and the paired difference, of one dimension or of their mean; None where there is none."""
        value = difference = None
        if self.own:
            value = summarise(self.metric, self.own, dimension=dimension, **sampler.options(self.own[0]))
        if self.shared is not None:
            options = sampler.options(self.shared[0][0])
            difference = paired_difference(self.metric, *self.shared, dimension=dimension, **options)
        return value, difference


@dataclass(frozen=True)
class Methods:
    """Everything that was predicted.

    Attributes:
        cells: method -> (fold, seed) -> that fold's test clips.
        seeds: method -> all folds together, one a seed.
        sampler: of the test groups of all methods.
    """

    cells: Mapping[str, ByCell]
    seeds: Mapping[str, Sequence[Measured]]
    sampler: Sampler

    def value(self, metric: Metric[Any], method: str) -> Estimate | None:
        """The metric of a method on all its clips, the mean of continuous dimensions; None where there is no clip."""
        return PairedStatistics.of(metric, self.seeds[method], None).estimates(self.sampler, None)[0]

    def difference(self, metric: Metric[Any], method: str, baseline: str) -> Estimate | None:
        """Method minus baseline on the clips that both predict; None where there are none."""
        pair = PairedStatistics.of(metric, self.seeds[method], self.seeds[baseline])
        return pair.estimates(self.sampler, None)[1]

    def only(self, clips: Set[str]) -> "Methods":
        """The same of some clips, their groups resampled among themselves; no group is resampled where none is left."""
        cells = {m: {cell: part.only(clips) for cell, part in parts.items()} for m, parts in self.cells.items()}
        seeds = {method: [part.only(clips) for part in parts] for method, parts in self.seeds.items()}
        sampler = _sampler(seeds, resamples=len(self.sampler.weights), confidence=self.sampler.confidence)
        return Methods(cells=cells, seeds=seeds, sampler=sampler)


def load_methods(predictions: Mapping[str, Files], task: Task, settings: EvaluationSettings) -> Methods:
    """Read predictions; those of frames a trial at a time.

    Raises:
        MtpkdError: a file does not hold the task's predictions, or no method predicted anything.
    """
    cells = {
        method: {cell: measure(path, task) for cell, path in sorted(files.items())}
        for method, files in predictions.items()
    }
    seeds = {method: _joined(parts) for method, parts in cells.items()}
    sampler = _sampler(seeds, resamples=settings.resamples, confidence=settings.confidence)
    if not sampler.groups:
        paths = [path for files in predictions.values() for path in files.values()]
        raise MtpkdError(
            f"{paths[0].parent if paths else 'predictions'}: no method could predict any labelled test clip"
        )
    return Methods(cells=cells, seeds=seeds, sampler=sampler)


def _sampler(seeds: Mapping[str, Sequence[Measured]], *, resamples: int, confidence: float) -> Sampler:
    everyone = sorted({group for parts in seeds.values() for part in parts for group in part.clips_by_group})
    drawn = bootstrap_weights(len(everyone), resamples, _BOOTSTRAP_SEED) if everyone else np.zeros((resamples, 0))
    return Sampler(everyone, drawn, confidence)


def _joined(cells: ByCell) -> list[Measured]:
    seeds = sorted({seed for _, seed in cells})
    return [join([part for (_, s), part in cells.items() if s == seed]) for seed in seeds]
