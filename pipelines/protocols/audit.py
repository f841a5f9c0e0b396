"""The leakage audit: refuses a training, or an evaluation, that has seen what it is tested on.

It looks at the groups that data really came from, reported by the data sets and by the checkpoints they build on, not
at the split that was intended. `training.loop.fit` cannot be called without it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines.errors import LeakageError
from pipelines.protocols.splits import Split

Purpose = Literal["weights", "statistics", "selection", "calibration", "test"]
_ALLOWED: Mapping[Purpose, str] = {
    "weights": "train",
    "statistics": "train",
    "selection": "validation",
    "calibration": "validation",
    "test": "test",
}
_DONE_BY = {
    "weights": "weights are trained",
    "statistics": "normalisation statistics are fitted",
    "selection": "epochs are selected",
    "calibration": "confidence is calibrated",
    "test": "results are measured",
}


@dataclass(frozen=True)
class Evidence:
    """Which groups a step used.

    Attributes:
        step: what was made, in words for the error message, e.g. `teacher eda`.
        purpose: what the groups were used for.
        groups: the groups that the data came from.
    """

    step: str
    purpose: Purpose
    groups: frozenset[str]


def audit(split: Split, evidence: Iterable[Evidence]) -> None:
    """Refuse leakage.

    Raises:
        LeakageError: two parts of the split share a group, or a step used a group outside the part it may use.
    """
    parts = {"train": set(split.train), "validation": set(split.validation), "test": set(split.test)}
    for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
        shared = parts[first] & parts[second]
        if shared:
            raise LeakageError(f"fold {split.fold}: {_names(shared)} in both the {first} and the {second} part")
    if not all(parts.values()):
        empty = [name for name, groups in parts.items() if not groups]
        raise LeakageError(f"fold {split.fold}: nobody in the {' and '.join(empty)} part, so nothing could be audited")
    for item in evidence:
        outside = item.groups - parts[_ALLOWED[item.purpose]]
        if outside:
            raise LeakageError(_describe(split, item, outside, parts["test"]))


def _describe(split: Split, item: Evidence, outside: frozenset[str], test: set[str]) -> str:
    where = "test subjects" if outside & test else "subjects outside its part"
    return (
        f"fold {split.fold}, seed {split.seed}, {item.step}: {_DONE_BY[item.purpose]} on {where} "
        f"({_names(outside)}), only the {_ALLOWED[item.purpose]} part may be used"
    )


def _names(groups: Iterable[str]) -> str:
    listed = sorted(groups)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
