"""Accuracy, balanced accuracy, macro F1 and AUC from counts a group.

Decisions. The predicted class is the one of the highest probability, the first among equals. Definitions and edge cases
are scikit-learn's: balanced accuracy averages over the classes that occur, macro F1 over those that occur or are
predicted, AUC counts a tie as half. The AUC is pooled over test clips, so it also compares clips that were scored by
the models of different folds; and because it compares every clip with every other, it is the one metric that needs all
predictions at once and cannot be merged from parts.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.metrics.base import GroupStatistics, Metric, Predictions, index_groups, join_groups, sum_rows
from pipelines.recipe import Task


def confusion_matrix(predictions: Predictions) -> np.ndarray:
    """(C, C) numbers of clips: rows are true classes, columns predicted ones."""
    return _confusion_by_group(predictions).counts.sum(axis=0)


@dataclass(frozen=True)
class ConfusionCounts(GroupStatistics):
    """`counts` (G, C, C): a confusion matrix a group, rows true, columns predicted."""

    counts: np.ndarray


@dataclass(frozen=True)
class PairWins(GroupStatistics):
    """How positives of one group compare with negatives of another, for each of P one-vs-rest problems.

    Attributes:
        wins: (P, G, G) pairs (positive of group g, negative of group h) in which the positive scores higher, ties half.
        positives: (P, G) positives a group.
        negatives: (P, G) negatives a group.
    """

    wins: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


def _confusion_by_group(predictions: Predictions) -> ConfusionCounts:
    groups, index, clips = index_groups(predictions.groups)
    classes = predictions.scores.shape[1]
    cell = (index * classes + predictions.target) * classes + predictions.scores.argmax(axis=1)
    counts = np.bincount(cell, minlength=len(groups) * classes * classes).reshape(len(groups), classes, classes)
    return ConfusionCounts(groups=groups, clips=clips, counts=counts)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient in float64, NaN where the denominator is zero."""
    quotient = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=quotient, where=denominator != 0)


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of the entries that are not NaN; NaN where none is."""
    defined = ~np.isnan(values)
    return _divide(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))


class _ClassMetric(Metric[ConfusionCounts]):
    """What can be read off a confusion matrix."""

    percent = True

    def misfit(self, task: Task) -> str | None:
        return _no_classes(task)

    def accumulate(self, predictions: Predictions) -> ConfusionCounts:
        return _confusion_by_group(predictions)

    def merge(self, parts: Sequence[ConfusionCounts]) -> ConfusionCounts:
        groups, index, clips = join_groups(parts)
        counts = sum_rows(np.concatenate([part.counts for part in parts]), index, len(groups))
        return ConfusionCounts(groups=groups, clips=clips, counts=counts)

    def value(self, statistics: ConfusionCounts, weights: np.ndarray) -> np.ndarray:
        return self._read(np.tensordot(weights.astype(np.float64), statistics.counts.astype(np.float64), axes=1))

    @abstractmethod
    def _read(self, matrix: np.ndarray) -> np.ndarray:
        """(R, C, C) confusion matrices -> (R,) values."""


def _no_classes(task: Task) -> str | None:
    if task.kind == "classes":
        return None
    return f"it counts classes, and {', '.join(task.labels)} are continuous"


class Accuracy(_ClassMetric):
    """Share of clips whose most probable class is the true one."""

    name = "accuracy"

    def _read(self, matrix: np.ndarray) -> np.ndarray:
        return _divide(np.trace(matrix, axis1=1, axis2=2), matrix.sum(axis=(1, 2)))


class BalancedAccuracy(_ClassMetric):
    """Mean recall of the classes that occur."""

    name = "balanced-accuracy"

    def _read(self, matrix: np.ndarray) -> np.ndarray:
        return _mean_of_defined(_divide(np.diagonal(matrix, axis1=1, axis2=2), matrix.sum(axis=2)))


class MacroF1(_ClassMetric):
    """Mean over classes of F1 = 2 TP / (2 TP + FP + FN), over the classes that occur or are predicted."""

    name = "macro-f1"

    def _read(self, matrix: np.ndarray) -> np.ndarray:
        hits = np.diagonal(matrix, axis1=1, axis2=2)
        return _mean_of_defined(_divide(2 * hits, matrix.sum(axis=1) + matrix.sum(axis=2)))


class AreaUnderCurve(Metric[PairWins]):
    """Area under the ROC curve: the chance that a positive scores above a negative, ties half.

    Two classes: the score of class 1. More: the unweighted mean over classes of one against the rest (macro), NaN
    where a class does not occur. The area is U / (P N) with the Mann-Whitney statistic U (Hanley and McNeil 1982);
    with group weights w it is w'Ww / (w'p w'n), where W holds the wins between the groups' positives and negatives.
    """

    name = "auc"

    def misfit(self, task: Task) -> str | None:
        return _no_classes(task)

    def accumulate(self, predictions: Predictions) -> PairWins:
        groups, index, clips = index_groups(predictions.groups)
        classes = predictions.scores.shape[1]
        problems = np.arange(classes) if classes > 2 else np.array([classes - 1])
        positive = predictions.target == problems[:, None]
        scores = predictions.scores.T[problems]
        positives = np.stack([np.bincount(index[mask], minlength=len(groups)) for mask in positive])
        return PairWins(
            groups=groups,
            clips=clips,
            wins=np.stack([_wins(s, mask, index, len(groups)) for s, mask in zip(scores, positive, strict=True)]),
            positives=positives,
            negatives=clips - positives,
        )

    def merge(self, parts: Sequence[PairWins]) -> PairWins:
        if len(parts) != 1:
            raise ValueError(f"the AUC compares all clips with each other: give them at once, not {len(parts)} parts")
        return parts[0]

    def value(self, statistics: PairWins, weights: np.ndarray) -> np.ndarray:
        weights = weights.astype(np.float64)
        # One problem after another: all at once are a (P, R, G) array that leaves the processor's cache.
        wins = np.stack([((weights @ problem) * weights).sum(axis=1) for problem in statistics.wins], axis=1)
        pairs = (weights @ statistics.positives.T) * (weights @ statistics.negatives.T)
        return _divide(wins, pairs).mean(axis=1)


def _wins(scores: np.ndarray, positive: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """(G, G) wins of positives over negatives, by sorting each group's negatives once: no pair is ever formed."""
    wins = np.zeros((groups, groups))
    for h in range(groups):
        negatives = np.sort(scores[~positive & (group == h)])
        below = np.searchsorted(negatives, scores[positive], side="left")
        not_above = np.searchsorted(negatives, scores[positive], side="right")
        wins[:, h] = np.bincount(group[positive], weights=(below + not_above) / 2, minlength=groups)
    return wins
