"""Estimates as rows of a table: CSV, or JSON lines. The columns are a contract; scripts read them."""

import csv
import json
from collections.abc import Callable
from typing import IO, Any, Literal

import numpy as np

from pipelines.inference.description import StudentDescription
from pipelines.inference.estimates import Estimate, FrameEstimate, WindowEstimate

Per = Literal["window", "frame"]
Format = Literal["csv", "jsonl"]

_WINDOW = ("video", "window", "start_s", "stop_s", "faces", "partial", "status")
_FRAME = ("video", "frame", "time_s", "x0", "y0", "x1", "y1", "status")
_DIGITS = 6


def columns(per: str, description: StudentDescription) -> list[str]:
    """Names of the columns: of classes `label` and `p_<class>`; of dimensions `<name>`, `<name>_low`, `<name>_high`."""
    if description.of_classes:
        said = ["label", *(f"p_{label}" for label in description.labels)]
    else:
        said = [f"{label}{border}" for label in description.labels for border in ("", "_low", "_high")]
    return [*(_WINDOW if per == "window" else _FRAME), *said]


def row(estimate: Estimate, video: str, description: StudentDescription) -> list[Any]:
    """Values in the order of `columns`; None where there is none."""
    of_classes = description.of_classes
    values, low, high = (_numbers(each, description) for each in (estimate.values, estimate.low, estimate.high))
    said = (
        [estimate.label, *values] if of_classes else [n for each in zip(values, low, high, strict=True) for n in each]
    )
    match estimate:
        case WindowEstimate():
            place = [round(number, _DIGITS) for number in (estimate.start_s, estimate.stop_s, estimate.faces)]
            return [video, estimate.index, *place, int(estimate.partial), estimate.status, *said]
        case FrameEstimate():
            box = [None] * 4 if estimate.box is None else [round(float(edge), 2) for edge in estimate.box]
            return [video, estimate.index, round(estimate.time_s, _DIGITS), *box, estimate.status, *said]
    raise TypeError(f"{type(estimate).__name__} is neither of a window nor of a frame")


def _numbers(values: np.ndarray | None, description: StudentDescription) -> list[float | None]:
    return [None] * len(description.labels) if values is None else [round(float(v), _DIGITS) for v in values]


def row_writer(
    file: IO[str], form: Format, per: Per, description: StudentDescription
) -> Callable[[str, Estimate], None]:
    """What writes an estimate of a video, and shows it at once: `write(video, estimate)`. A header goes first.

    Empty cells of CSV are `null` in JSON lines, whose numbers are those of `columns` by name.
    """
    names = columns(per, description)
    table = csv.writer(file, lineterminator="\n")
    if form == "csv":
        table.writerow(names)

    def write(video: str, estimate: Estimate) -> None:
        values = row(estimate, video, description)
        if form == "csv":
            table.writerow(values)
        else:
            file.write(json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False) + "\n")
        file.flush()

    return write
