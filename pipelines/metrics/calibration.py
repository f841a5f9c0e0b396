"""How far confidence can be trusted: calibration error and temperature of classes, conformal intervals of values.

Decisions. The calibration error is a metric like any other, summed a group, so that it has an interval over groups and
a paired difference. With few clips it is biased upwards, and more so in resamples: compare it between methods on the
same clips rather than with zero. A temperature is fitted with every sample weighing the same, as in every metric here.

Intervals are split conformal ones for data in groups. Frames of a video err together: a quantile of pooled residuals
promises its level for another frame of the same videos and covers too little of a new one. Hierarchical conformal
prediction (HCP: Lee, Barber and Willett, arXiv 2306.06342; the setting is that of Dunn, Wasserman and Ramdas, arXiv
1809.07441) gives every one of K calibration groups the mass 1 / (K + 1), spread evenly over its observations, and puts
the remaining 1 / (K + 1) at infinity. A random observation of a new group, exchangeable with the K, is then covered
with probability 1 - a or more, whatever the distribution; so with K groups no level above K / (K + 1) can be promised.
Each dimension has an interval of its own and the level holds for each, not for all together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.metrics.base import GroupStatistics, Metric, Predictions, index_groups, join_groups, sum_rows
from pipelines.recipe import Task

BINS = 15
TEMPERATURES = 0.1, 10.0
"""The range in which a temperature is sought."""
_MASS_TOLERANCE = 1e-6
"""Of one group's mass: rounding of a sum over its frames must not cost a level that the groups allow."""


def expected_calibration_error(probabilities: np.ndarray, target: np.ndarray, *, bins: int = BINS) -> float:
    """Mean distance between the highest probability and how often it is right, over bins of that probability.

    Guo, Pleiss, Sun and Weinberger, arXiv 1706.04599, equation 3: sum_b |B_b| / N |accuracy(B_b) - confidence(B_b)|,
    where bin b of M holds the samples whose highest probability lies in ((b - 1) / M, b / M].

    Args:
        probabilities: (N, C).
        target: (N,) class indices.
        bins: M, of equal width.

    Returns:
        In [0, 1]; NaN without samples.
    """
    if not len(target):
        return float("nan")
    clips, confidence, hits = _binned(probabilities, target, np.zeros(len(target), np.int64), 1, bins)
    return float(np.abs(hits - confidence).sum() / clips.sum())


def _binned(
    probabilities: np.ndarray, target: np.ndarray, index: np.ndarray, groups: int, bins: int
) -> tuple[np.ndarray, ...]:
    """Of each group and bin, (G, bins): samples, sum of their highest probabilities, how many are right."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    cell = index * bins + np.digitize(confidence, edges, right=True)
    hits = probabilities.argmax(axis=1) == target
    sums = (np.bincount(cell, weights, minlength=groups * bins) for weights in (None, confidence, hits))
    return tuple(values.reshape(groups, bins) for values in sums)


@dataclass(frozen=True)
class ReliabilityBins(GroupStatistics):
    """Sums over the clips of each group whose highest probability lies in a bin, all (G, bins).

    Attributes:
        counts: clips.
        confidence: sum of their highest probabilities.
        hits: clips whose most probable class is the true one.
    """

    counts: np.ndarray
    confidence: np.ndarray
    hits: np.ndarray


class ExpectedCalibrationError(Metric[ReliabilityBins]):
    """See `expected_calibration_error`, with 15 bins."""

    name = "ece"
    higher_is_better = False

    def misfit(self, task: Task) -> str | None:
        if task.kind == "classes":
            return None
        return f"it judges probabilities of classes, and {', '.join(task.labels)} are continuous"

    def accumulate(self, predictions: Predictions) -> ReliabilityBins:
        groups, index, clips = index_groups(predictions.groups)
        return ReliabilityBins(
            groups, clips, *_binned(predictions.scores, predictions.target, index, len(groups), BINS)
        )

    def merge(self, parts: Sequence[ReliabilityBins]) -> ReliabilityBins:
        groups, index, clips = join_groups(parts)
        names = ("counts", "confidence", "hits")
        sums = (sum_rows(np.concatenate([getattr(part, n) for part in parts]), index, len(groups)) for n in names)
        return ReliabilityBins(groups, clips, *sums)

    def value(self, statistics: ReliabilityBins, weights: np.ndarray) -> np.ndarray:
        weights = weights.astype(np.float64)
        gaps = np.abs(weights @ (statistics.hits - statistics.confidence)).sum(axis=1)
        clips = weights @ statistics.clips
        return np.divide(gaps, clips, out=np.full(len(weights), np.nan), where=clips != 0)


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """(N, C) probabilities p -> p^(1/T), normalised: the softmax of logits that are divided by T; 1/T undoes it."""
    with np.errstate(divide="ignore"):
        logits = np.log(probabilities.astype(np.float64)) / temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def fit_temperature(logits: np.ndarray, target: np.ndarray, *, pseudo_count: float = 0.0) -> float:
    """The temperature in [0.1, 10] that makes the cross-entropy of logits to classes least.

    Guo, Pleiss, Sun and Weinberger, arXiv 1706.04599, section 4.2.

    Args:
        logits: (N, C), or logarithms of probabilities.
        target: (N,) class indices.
        pseudo_count: imagined samples a class, as in the rule of succession. Where all of a few samples are right,
            the cross-entropy alone would ask for certainty; with 1, all of N right in C classes ends at confidences
            about (N + 1) / (N + C). Among many samples it is not felt.
    """
    from scipy.optimize import minimize_scalar

    n, classes = logits.shape
    truth = (n * np.eye(classes)[target] + pseudo_count) / (n + pseudo_count * classes)
    logits = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        log_shares = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
        return float(-(truth * log_shares).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded")
    return float(np.exp(found.x))


def interval_half_widths(
    residuals: np.ndarray, groups: np.ndarray, levels: Sequence[float]
) -> list[list[float] | None]:
    """Half-widths h of intervals `prediction +- h` that cover a random observation of a new group.

    Args:
        residuals: (N, K) target minus prediction, of groups that no network was trained on.
        groups: (N,) their names.
        levels: promised coverages, in (0, 1).

    Returns:
        Of every level the half-width of each dimension; None where that takes more groups, see `groups_needed`.
    """
    names, index, counts = index_groups(groups)
    mass = 1 / counts[index]
    wanted = np.array(levels) * (len(names) + 1) - _MASS_TOLERANCE
    distance = np.abs(residuals).astype(np.float64)
    columns: list[np.ndarray] = []
    for column in distance.T:
        order = np.argsort(column, kind="stable")
        reached = np.searchsorted(np.cumsum(mass[order]), wanted)
        columns.append(np.append(column[order], np.inf)[reached])
    widths = np.stack(columns, axis=1)
    return [row.tolist() if np.isfinite(row).all() else None for row in widths]


def groups_needed(level: float) -> int:
    """The fewest calibration groups with which a level can be promised: K / (K + 1) >= level."""
    return int(np.ceil(level / (1 - level) - _MASS_TOLERANCE))


@dataclass(frozen=True)
class Covered(GroupStatistics):
    """`counts` (G, L, K): the observations of each group that lie inside the intervals of L levels, a dimension each.

    `clips` are the observations of each group.
    """

    counts: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """(G, L, K) share of each group's observations that is covered; its mean over groups estimates the coverage."""
        return self.counts / self.clips[:, None, None]


def count_covered(residuals: np.ndarray, groups: np.ndarray, half_widths: np.ndarray) -> Covered:
    """Count what intervals cover.

    Args:
        residuals: (N, K) target minus prediction.
        groups: (N,) their names.
        half_widths: (L, K), of L levels.
    """
    names, index, clips = index_groups(groups)
    distance = np.abs(residuals)[:, None]
    counts = [(distance[index == group] <= half_widths).sum(axis=0) for group in range(len(names))]
    return Covered(names, clips, np.array(counts, np.int64).reshape(-1, *half_widths.shape))


def merge_covered(parts: Sequence[Covered]) -> Covered:
    """The counts of everything that the parts were made of. Raises ValueError where there is no part."""
    names, index, clips = join_groups(parts)
    return Covered(names, clips, sum_rows(np.concatenate([part.counts for part in parts]), index, len(names)))
