"""What happened inside while methods were trained, read from the histories and sidecars beside the checkpoints.

All of it is a mean over cells, one fold and seed each. Trainings stop early, each when it likes: the value of an epoch
is the mean of the cells that were still being trained then, and how many those were stands beside it.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import MtpkdError
from pipelines.workspace import read_sidecar

_CHOSEN = "chosen/"
_DIAGONAL = "diagonal_mass"


@dataclass(frozen=True)
class Teaching:
    """How one method was taught, epoch by epoch.

    Attributes:
        cells: cells that reached each epoch.
        chosen: teacher -> share of the samples for which it spoke, an entry an epoch; empty where the method asks one
            teacher only.
        last: teacher -> that share in the last epoch of every cell.
        diagonal_mass: share of the transport plan that pairs a clip with itself, an entry an epoch; empty without a
            transport.
    """

    cells: Sequence[int]
    chosen: Mapping[str, Sequence[float]]
    last: Mapping[str, float]
    diagonal_mass: Sequence[float]


@dataclass(frozen=True)
class Gap:
    """Mean 1 - cosine between a teacher's embedding and the joint one, before and after alignment."""

    before: float
    after: float


@dataclass(frozen=True)
class TrainingRecord:
    """What happened inside.

    Attributes:
        teaching: method -> how it was taught; only methods with anything to tell.
        alignment_gap: teacher -> its distance from the joint one, on the validation groups.
        hallucination: privileged modality -> R^2 of its hallucinated embeddings on the validation groups.
    """

    teaching: Mapping[str, Teaching]
    alignment_gap: Mapping[str, Gap]
    hallucination: Mapping[str, float]


def read_training_record(
    histories: Mapping[str, Sequence[Path]], *, aligned: Sequence[Path], hallucination: Sequence[Path]
) -> TrainingRecord:
    """Read what the stages left beside their artifacts.

    Args:
        histories: method -> history of its student, one a cell.
        aligned: the aligned embeddings, one a cell.
        hallucination: the hallucination net, one a cell.

    Raises:
        MtpkdError: a history that is none.
    """
    teaching = {method: _teaching([_read_history(path) for path in paths]) for method, paths in histories.items()}
    gaps = _means([_flat(_details(path).get("alignment_gap", {})) for path in aligned])
    return TrainingRecord(
        teaching={method: found for method, found in teaching.items() if found.chosen or found.diagonal_mass},
        alignment_gap={
            name: Gap(before=gaps[name, "before"], after=gaps[name, "after"]) for name, side in gaps if side == "before"
        },
        hallucination=_means([_details(path).get("r2_on_validation_subjects", {}) for path in hallucination]),
    )


def _read_history(path: Path) -> list[dict[str, float]]:
    """One row an epoch. A column that an epoch lacks is left out of its row."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(stream)]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise MtpkdError(f"{path}: no history of a training ({error}): delete the student beside it") from None
    if not rows:
        raise MtpkdError(f"{path}: the history holds no epoch: delete the student beside it")
    return rows


def _teaching(cells: Sequence[list[dict[str, float]]]) -> Teaching:
    epochs = range(max(len(rows) for rows in cells))
    there = [[rows[epoch] for rows in cells if epoch < len(rows)] for epoch in epochs]
    means = [_means(rows) for rows in there]
    names = [name for name in means[0] if name.startswith(_CHOSEN)]
    names = names if len(names) > 1 else []
    last = _means([rows[-1] for rows in cells])
    return Teaching(
        cells=[len(rows) for rows in there],
        chosen={name.removeprefix(_CHOSEN): [mean.get(name, float("nan")) for mean in means] for name in names},
        last={name.removeprefix(_CHOSEN): last.get(name, float("nan")) for name in names},
        diagonal_mass=[mean.get(_DIAGONAL, float("nan")) for mean in means] if _DIAGONAL in means[0] else [],
    )


def _means(rows: Sequence[Mapping[Any, float]]) -> dict[Any, float]:
    """Key -> mean of its values that are numbers; NaN where none is."""
    found = {}
    for key in dict.fromkeys(key for row in rows for key in row):
        values = [row[key] for row in rows if not np.isnan(row.get(key, np.nan))]
        found[key] = float(np.mean(values)) if values else float("nan")
    return found


def _flat(gaps: Mapping[str, Mapping[str, float]]) -> dict[tuple[str, str], float]:
    return {(name, side): value for name, sides in gaps.items() for side, value in sides.items()}


def _details(path: Path) -> Mapping[str, Any]:
    return (read_sidecar(path) or {}).get("details", {})
