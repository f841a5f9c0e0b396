"""What teachers say of clips whose groups they have never seen: their task losses, and their outputs.

One CSV a cross-fitted fit: clip, a loss a teacher (its name), and an output a teacher and dimension (`joint output 0`).
A cell is empty where a teacher lacks the clip, a loss also where the clip has no label.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.cache.tables import open_csv
from pipelines.errors import MtpkdError
from pipelines.workspace import write_csv

_AGAIN = "delete it and run `mtpkd align` again"


@dataclass(frozen=True)
class OutOfFold:
    """Of N clips and M teachers: losses (N, M) and outputs (N, M, C), NaN where there is none."""

    losses: np.ndarray
    outputs: np.ndarray


def write_out_of_fold(path: Path, clips: Sequence[str], names: Sequence[str], judged: OutOfFold) -> None:
    """Write what M teachers said of N clips."""
    values = np.concatenate([judged.losses, judged.outputs.reshape(len(clips), -1)], axis=1)
    header = ["clip", *names, *_columns(names, judged.outputs.shape[2])]
    cells = ([clip, *("" if np.isnan(x) else f"{x:.9g}" for x in row)] for clip, row in zip(clips, values, strict=True))
    write_csv(path, header, cells)


def read_out_of_fold(paths: Sequence[Path], clips: Sequence[str], names: Sequence[str], num_outputs: int) -> OutOfFold:
    """What was said of some clips, put together from the files of all fits; NaN for a clip that is in none.

    Raises:
        MtpkdError: a file that does not hold what these teachers say.
    """
    columns = [*names, *_columns(names, num_outputs)]
    known: dict[str, list[float]] = {}
    for path in paths:
        with open_csv(path, _AGAIN) as stream:
            reader = csv.DictReader(stream)
            if not {"clip", *columns} <= set(reader.fieldnames or ()):
                raise MtpkdError(f"{path}: columns clip, {', '.join(columns)} expected: {_AGAIN}")
            for row in reader:
                try:
                    known[row["clip"]] = [float(row[name] or "nan") for name in columns]
                except ValueError as error:
                    raise MtpkdError(f"{path}, line {reader.line_num}: {error}: {_AGAIN}") from None
    nothing = [np.nan] * len(columns)
    values = np.array([known.get(clip, nothing) for clip in clips]).reshape(len(clips), len(columns))
    losses, outputs = values[:, : len(names)], values[:, len(names) :]
    return OutOfFold(losses, outputs.reshape(len(clips), len(names), num_outputs))


def _columns(names: Sequence[str], num_outputs: int) -> list[str]:
    return [f"{name} output {number}" for name in names for number in range(num_outputs)]
