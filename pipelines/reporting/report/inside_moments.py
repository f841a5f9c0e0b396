"""What a snapshot of a transport comes to, in three numbers.

Resemblance is the correlation of two similarity matrices' entries above the diagonal (representational similarity
analysis: Kriegeskorte, Mur and Bandettini, Frontiers in Systems Neuroscience 2:4, 2008).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from pipelines.cache.structure import StructureRecord


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One snapshot, or the mean of several; NaN where there is nothing to tell.

    Attributes:
        resemblance: correlation of student's and teacher's similarities of different clips.
        same_clip: share of the plan that pairs a clip with itself.
        same_class: share of the plan between labelled clips that stays within a class; NaN for continuous labels.
    """

    resemblance: float
    same_clip: float
    same_class: float

    @classmethod
    def of(cls, record: StructureRecord, place: int, *, classes: bool) -> "Moment":
        """Of the snapshot at a place."""
        return cls(
            resemblance=resemblance(record.teacher, record.student[place]),
            same_clip=float(record.diagonal_mass[place]) if record.clips else nan,
            same_class=same_class(record.plans[place], record.labels) if classes else nan,
        )

    @classmethod
    def by_chance(cls, record: StructureRecord, *, classes: bool) -> "Moment":
        """Of a plan that sends every row everywhere alike."""
        size = max(len(record.clips), 1)
        even = np.full((len(record.clips),) * 2, 1 / size**2)
        return cls(resemblance=0.0, same_clip=1 / size, same_class=same_class(even, record.labels) if classes else nan)

    @classmethod
    def mean(cls, moments: Sequence["Moment"]) -> "Moment":
        """Over cells, each number over those that have it."""

        def of(name: str) -> float:
            values = [getattr(moment, name) for moment in moments if not np.isnan(getattr(moment, name))]
            return float(np.mean(values)) if values else nan

        return cls(resemblance=of("resemblance"), same_clip=of("same_clip"), same_class=of("same_class"))


def resemblance(teacher: np.ndarray, student: np.ndarray) -> float:
    """Pearson's r of the entries above the diagonals of two (n, n) matrices; NaN where one of them does not vary."""
    upper = np.triu_indices(len(teacher), 1)
    mine, theirs = (matrix[upper].astype(np.float64) for matrix in (student, teacher))
    if len(mine) < 2 or not mine.std() or not theirs.std():
        return nan
    return float(np.corrcoef(mine, theirs)[0, 1])


def same_class(plan: np.ndarray, labels: np.ndarray) -> float:
    """Share of the mass between labelled clips that goes from a class to itself.

    Args:
        plan: (n, n).
        labels: (n, 1), NaN without a label.
    """
    classes = labels[:, 0]
    known = ~np.isnan(classes)
    among = plan.astype(np.float64) * np.outer(known, known)
    total = among.sum()
    return float(among[classes[:, None] == classes].sum() / total) if total else nan
