"""results.csv, results_by_group.csv, results.json and comparison.csv: plain records in, whole files out.

Decisions. Numbers are written with every digit, so that reading them back gives the same float. A value that is not
defined is `nan` in CSV, which every reader of floats takes, and null in JSON, which has no NaN.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import MtpkdError
from pipelines.reporting.comparison import Compared
from pipelines.reporting.table import BASELINE
from pipelines.workspace import write_csv, write_text


@dataclass(frozen=True)
class FoldResult:
    """One line of results.csv: one metric of one trained model on its test fold."""

    method: str
    fold: int
    seed: int
    metric: str
    value: float


@dataclass(frozen=True)
class GroupResult:
    """One line of results_by_group.csv: every metric of a method on one group, mean over seeds."""

    method: str
    group: str
    clips: int
    values: Mapping[str, float]


def write_results_csv(path: Path, rows: Sequence[FoldResult]) -> None:
    """Write `method,fold,seed,metric,value`, in the order given. MtpkdError names a file that cannot be written."""
    _write(
        write_csv,
        path,
        ["method", "fold", "seed", "metric", "value"],
        ([row.method, row.fold, row.seed, row.metric, repr(float(row.value))] for row in rows),
    )


def write_results_by_group_csv(path: Path, rows: Sequence[GroupResult]) -> None:
    """Write `method,group,clips` and a column a metric. MtpkdError names a file that cannot be written."""
    metrics = list(dict.fromkeys(name for row in rows for name in row.values))
    _write(
        write_csv,
        path,
        ["method", "group", "clips", *metrics],
        (
            [row.method, row.group, row.clips, *(repr(float(row.values.get(name, np.nan))) for name in metrics)]
            for row in rows
        ),
    )


def write_comparison_csv(path: Path, by_share: Mapping[float, Mapping[str, Compared]]) -> None:
    """Write one row a method and what it is compared with; visual only itself is compared with nothing.

    Args:
        by_share: share of the training groups with labels -> metric -> what was found.

    Raises:
        MtpkdError: the file cannot be written.
    """
    rows = [
        [share, metric, *row]
        for share, by_metric in by_share.items()
        for metric, compared in by_metric.items()
        for row in _comparison_rows(compared)
    ]
    _write(write_csv, path, _COMPARISON, ([_text(value) for value in row] for row in rows))


_COMPARISON = (
    "labelled", "metric", "method", "value", "low", "high", "reference", "difference", "difference_low",
    "difference_high", "p", "effect_size", "groups", "groups_worse", "verdict",
)  # fmt: skip


def _comparison_rows(compared: Compared) -> Iterator[list[object]]:
    """From `method` on. What is only asked against visual only is left empty in the other rows."""
    value = compared.baseline
    yield [BASELINE, value.value, value.low, value.high, *[""] * 9]
    for item in compared.comparisons:
        for reference, estimate in item.against.items():
            judged: list[object] = [""] * 5
            if reference == BASELINE:
                negative = item.negative
                judged = [item.p, item.effect.value, negative.groups, len(negative.losses), item.verdict.kind]
            own = [item.method, item.value.value, item.value.low, item.value.high]
            yield [*own, reference, estimate.value, estimate.low, estimate.high, *judged]


def _text(value: object) -> object:
    return repr(float(value)) if isinstance(value, float) else value


def write_results_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write nested mappings, sequences, numpy arrays and numbers, paths and text as JSON, in the order given.

    Raises:
        MtpkdError: the file cannot be written.
        TypeError: `content` holds something that is none of these.
    """
    _write(write_text, path, json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _write(write: Callable[..., None], path: Path, *content: Any) -> None:
    try:
        write(path, *content)
    except OSError as error:
        raise MtpkdError(f"{path}: cannot be written ({error.strerror or error})") from error


def _plain(value: Any) -> Any:
    """The same value in types that JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
