"""Tables and records of results, read back."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.cache.tables import open_csv
from pipelines.errors import MtpkdError
from pipelines.reporting.writers import FoldResult, GroupResult

_AGAIN = "run `mtpkd evaluate` again"


def read_fold_results(path: Path) -> list[FoldResult]:
    """Read results.csv. Raises MtpkdError where it is another table."""
    try:
        return [
            FoldResult(row["method"], int(row["fold"]), int(row["seed"]), row["metric"], float(row["value"]))
            for row in _rows(path)
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise MtpkdError(f"{path}: no table of results ({error}): {_AGAIN}") from None


def read_group_results(path: Path) -> list[GroupResult]:
    """Read results_by_group.csv. Raises MtpkdError where it is another table."""
    try:
        return [
            GroupResult(
                row.pop("method"), row.pop("group"), int(row.pop("clips")), {k: float(v) for k, v in row.items()}
            )
            for row in _rows(path)
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise MtpkdError(f"{path}: no table of results ({error}): {_AGAIN}") from None


def read_shares(path: Path) -> list[float]:
    """The shares of labels in a label-efficiency curve, ascending. Raises MtpkdError where it is another table."""
    try:
        return sorted({float(row["labelled"]) for row in _rows(path)})
    except (KeyError, ValueError, TypeError) as error:
        raise MtpkdError(f"{path}: no curve ({error}): run `mtpkd compare --labelled` again") from None


def read_json(path: Path, keys: Mapping[str, type], remedy: str) -> dict[str, Any]:
    """Read a JSON file of results. Raises MtpkdError where one of `keys` is missing or of another type."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or any(not isinstance(content.get(key), kind) for key, kind in keys.items()):
        raise MtpkdError(f"{path}: holds no {', '.join(keys)}: {remedy}")
    return content


def _rows(path: Path) -> list[dict[str, str]]:
    with open_csv(path, _AGAIN) as stream:
        return list(csv.DictReader(stream))
