"""How often prediction and target point the same way, from counts a group.

Decisions. The sign is that of `np.sign`: zero is a sign of its own, so a target of exactly 0 is met by a prediction of
exactly 0 only. Neutral frames labelled 0 therefore count against nearly every model, and alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.metrics.base import GroupStatistics, Metric, Predictions, index_groups, join_groups, sum_rows
from pipelines.recipe import Task


@dataclass(frozen=True)
class SignCounts(GroupStatistics):
    """`agreeing` (G, K): frames of each group whose prediction has the sign of the target."""

    agreeing: np.ndarray


class SignAgreement(Metric[SignCounts]):
    """Share of frames on which prediction and target have the same sign (SAGR: Nicolaou, Gunes and Pantic 2011)."""

    name = "sign-agreement"

    def misfit(self, task: Task) -> str | None:
        return None if task.kind == "continuous" else "it compares signs, and classes have none"

    def accumulate(self, predictions: Predictions) -> SignCounts:
        groups, index, clips = index_groups(predictions.groups)
        same = np.sign(predictions.scores) == np.sign(predictions.target)
        return SignCounts(groups=groups, clips=clips, agreeing=sum_rows(same.astype(np.int64), index, len(groups)))

    def merge(self, parts: Sequence[SignCounts]) -> SignCounts:
        groups, index, clips = join_groups(parts)
        agreeing = sum_rows(np.concatenate([part.agreeing for part in parts]), index, len(groups))
        return SignCounts(groups=groups, clips=clips, agreeing=agreeing)

    def value(self, statistics: SignCounts, weights: np.ndarray) -> np.ndarray:
        weights = weights.astype(np.float64)
        frames = (weights @ statistics.clips)[:, None]
        agreeing = weights @ statistics.agreeing
        return np.divide(agreeing, frames, out=np.full(agreeing.shape, np.nan), where=frames != 0)
