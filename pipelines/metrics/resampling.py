"""How uncertain a number is: percentile bootstrap over groups, paired between methods.

Decisions. Groups (subjects, videos) are drawn with replacement and taken whole (Davison and Hinkley 1997, section
3.8); one matrix of weights serves all seeds, methods and metrics, so that differences are paired. A method's value is
the mean over its seeds.

What an interval covers: which test subjects happened to be recorded. What it does not: which subjects the models were
trained on (the folds' models are taken as given), and the seeds of training, which are averaged and not resampled. An
interval above zero is therefore necessary, not sufficient, for "this method is better".

One group has no variation between groups: its interval is NaN and the estimate's note says so. A resample without a
value (an AUC in which one class was not drawn) is ignored, counted and noted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.metrics.base import GroupStatistics, Metric


@dataclass(frozen=True)
class Estimate:
    """A value with its percentile interval.

    Attributes:
        value: on all groups, mean over seeds.
        low: lower end of the interval, NaN where there is none.
        high: upper end of the interval.
        groups: groups resampled.
        resamples: resamples drawn.
        undefined: resamples without a value, left out of the interval.
    """

    value: float
    low: float
    high: float
    groups: int
    resamples: int
    undefined: int

    @property
    def note(self) -> str | None:
        """What a reader must know about the interval, in words; None where there is nothing."""
        if not self.groups:
            return "there is no test clip to compare on"
        if self.groups < 2:
            return "no interval: there is one test group only"
        if self.undefined:
            return f"{self.undefined} of {self.resamples} resamples had no value and were left out of the interval"
        return None


def bootstrap_weights(groups: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, groups) float64: how often each group was drawn; every row sums to `groups`.

    Raises:
        ValueError: there is no group.
    """
    if groups < 1:
        raise ValueError("there is no group to resample")
    uniform = np.full(groups, 1 / groups)
    return np.random.default_rng(seed).multinomial(groups, uniform, size=resamples).astype(np.float64)


def interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Percentile interval of (R,) resampled values that are not NaN; (NaN, NaN) where none is left."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def summarise(
    metric: Metric[Any],
    statistics: Sequence[GroupStatistics],
    *,
    weights: np.ndarray,
    confidence: float,
    dimension: int | None = None,
) -> Estimate:
    """A method's value and its interval over test groups.

    Args:
        metric: the one that made the statistics.
        statistics: one a seed, all of the same G groups.
        weights: (R, G) of `bootstrap_weights`, the same for all methods.
        confidence: coverage of the interval, e.g. 0.95.
        dimension: one continuous dimension; None takes the mean over all, e.g. P = (CCC_V + CCC_A) / 2.

    Raises:
        ValueError: the seeds were not tested on the same groups.
    """
    _same_groups(statistics, weights)
    ones = np.ones((1, weights.shape[1]))
    return _estimate(
        _mean_over_seeds(metric, statistics, ones, dimension),
        _mean_over_seeds(metric, statistics, weights, dimension),
        weights,
        confidence,
    )


def paired_difference(
    metric: Metric[Any],
    method: Sequence[GroupStatistics],
    baseline: Sequence[GroupStatistics],
    *,
    weights: np.ndarray,
    confidence: float,
    dimension: int | None = None,
) -> Estimate:
    """Method minus baseline, both on the same resampled groups; what varies alike in both cancels.

    Args and errors are those of `summarise`. The interval covers and omits the same.
    """
    _same_groups([*method, *baseline], weights)
    ones = np.ones((1, weights.shape[1]))
    value, resampled = (
        _mean_over_seeds(metric, method, w, dimension) - _mean_over_seeds(metric, baseline, w, dimension)
        for w in (ones, weights)
    )
    return _estimate(value, resampled, weights, confidence)


def group_values(
    metric: Metric[Any], statistics: Sequence[GroupStatistics], *, dimension: int | None = None
) -> dict[str, float]:
    """Group -> the metric on that group alone, mean over seeds; NaN where it is not defined there."""
    groups = statistics[0].groups
    _same_groups(statistics, np.ones((1, len(groups))))
    values = _mean_over_seeds(metric, statistics, np.eye(len(groups)), dimension)
    return dict(zip(groups, values.tolist(), strict=True))


def _mean_over_seeds(
    metric: Metric[Any], statistics: Sequence[GroupStatistics], weights: np.ndarray, dimension: int | None
) -> np.ndarray:
    """(R,) values; a resample without a value under one seed has none."""
    values = np.mean([metric.value(seed, weights) for seed in statistics], axis=0)
    if values.ndim == 1:
        return values
    return values.mean(axis=1) if dimension is None else values[:, dimension]


def _estimate(value: np.ndarray, resampled: np.ndarray, weights: np.ndarray, confidence: float) -> Estimate:
    resamples, groups = weights.shape
    low, high = interval(resampled, confidence) if groups > 1 else (float("nan"), float("nan"))
    undefined = int(np.isnan(resampled).sum())
    return Estimate(float(value[0]), low, high, groups=groups, resamples=resamples, undefined=undefined)


def _same_groups(statistics: Sequence[GroupStatistics], weights: np.ndarray) -> None:
    first = statistics[0]
    for other in statistics[1:]:
        if other.groups != first.groups:
            apart = sorted(set(other.groups) ^ set(first.groups))
            raise ValueError(f"not tested on the same groups, so nothing can be paired: {', '.join(apart[:5])} differ")
    if weights.shape[1] != len(first.groups):
        raise ValueError(f"weights for {weights.shape[1]} groups, statistics of {len(first.groups)}")
