"""Predictions of several methods on the same test clips: read once, resampled alike, paired clip by clip."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
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
    """One metric of one method, and of the baseline that it is paired with, if any; one part a seed on either side."""

    metric: Metric[Any]
    parts: Sequence[Measured]
    baseline: Sequence[Measured] | None = None

    @cached_property
    def own(self) -> Sequence[GroupStatistics]:
        """The method's statistics on all its clips; empty where it predicted none."""
        return [part.statistics(self.metric) for part in self.parts] if self.parts[0].group_of else []

    @cached_property
    def shared(self) -> tuple[Sequence[GroupStatistics], Sequence[GroupStatistics]] | None:
        """The method's and the baseline's statistics on the clips that both predict; None where there are none."""
        if self.baseline is None or not (common := self.parts[0].group_of.keys() & self.baseline[0].group_of.keys()):
            return None
        mine, theirs = (
            [part.only(common).statistics(self.metric) for part in side] for side in (self.parts, self.baseline)
        )
        return mine, theirs

    def value(self, sampler: Sampler, dimension: int | None = None) -> Estimate | None:
        """Of one dimension or of their mean; None where there is none."""
        if not self.own:
            return None
        return summarise(self.metric, self.own, dimension=dimension, **sampler.options(self.own[0]))

    def difference(self, sampler: Sampler, dimension: int | None = None) -> Estimate | None:
        """Method minus baseline, of one dimension or of their mean; None where there is none."""
        if self.shared is None:
            return None
        options = sampler.options(self.shared[0][0])
        return paired_difference(self.metric, *self.shared, dimension=dimension, **options)


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
        return PairedStatistics(metric, self.seeds[method]).value(self.sampler)

    def difference(self, metric: Metric[Any], method: str, baseline: str) -> Estimate | None:
        """Method minus baseline on the clips that both predict; None where there are none."""
        return PairedStatistics(metric, self.seeds[method], self.seeds[baseline]).difference(self.sampler)

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
