"""clips.csv and failures.csv: what is in the cache, and what could not be."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from pipelines.corpora.clip import Failure
from pipelines.errors import MtpkdError
from pipelines.workspace import write_csv

COVERAGE = "coverage_"
LABEL = "label_"
FAILURE_COLUMNS = ("clip", "modality", "file", "reason")
_AGAIN = "run `mtpkd preprocess` again"
_FIXED = ("clip", "group", "label", "class")


@dataclass(frozen=True)
class ClipRow:
    """One line of clips.csv.

    Attributes:
        clip: name of the clip.
        group: what may not be split, e.g. the subject.
        label: class index, or (K,) continuous values; None where the clip has no label of its own.
        label_name: class name, or empty.
        attributes: e.g. {"sex": "w", "age": "21"}.
        coverage: modality -> share of its frames or samples that can be used, 0 where the modality is missing.
    """

    clip: str
    group: str
    label: int | tuple[float, ...] | None
    label_name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    coverage: Mapping[str, float] = field(default_factory=dict)


def write_clips(path: Path, rows: Sequence[ClipRow], *, dimensions: Sequence[str] = ()) -> None:
    """Write clips.csv, with one column an attribute and one coverage column a modality.

    Args:
        path: the table.
        rows: its lines.
        dimensions: names of the K values of a continuous label, for a column `label_<dimension>` each.
    """
    attributes = sorted({key for row in rows for key in row.attributes})
    modalities = list(dict.fromkeys(key for row in rows for key in row.coverage))
    header = [*_FIXED, *(LABEL + name for name in dimensions), *attributes, *(COVERAGE + name for name in modalities)]
    lines = [
        [row.clip, row.group, *_label_cells(row, len(dimensions))]
        + [row.attributes.get(key, "") for key in attributes]
        + [f"{row.coverage.get(modality, 0.0):.4f}" for modality in modalities]
        for row in rows
    ]
    write_csv(path, header, lines)


def read_clips(path: Path) -> list[ClipRow]:
    """Read clips.csv. Raises MtpkdError naming the line of a row that cannot be read."""
    with open_csv(path, _AGAIN) as stream:
        reader = csv.DictReader(stream)
        columns = reader.fieldnames or []
        if not set(_FIXED) <= set(columns):
            found = ", ".join(columns) or "none"
            raise MtpkdError(
                f"{path}: columns {', '.join(_FIXED)} expected, found {found}: run `mtpkd preprocess` again"
            )
        dimensions, coverage = ([name for name in columns if name.startswith(start)] for start in (LABEL, COVERAGE))
        attributes = [name for name in columns if name not in {*_FIXED, *dimensions, *coverage}]
        rows = []
        for row in reader:
            try:
                rows.append(_parse(row, dimensions, attributes, coverage))
            except (ValueError, TypeError) as error:
                raise MtpkdError(f"{path}, line {reader.line_num}: {error}: {_AGAIN}") from None
    return rows


def read_failures(path: Path) -> list[Failure]:
    """Read failures.csv, which does not say which are tolerated. Raises MtpkdError where it is another table."""
    with open_csv(path, _AGAIN) as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        lines = list(reader)
    if tuple(header) != FAILURE_COLUMNS or any(len(line) != len(header) for line in lines):
        expected = ", ".join(FAILURE_COLUMNS)
        raise MtpkdError(f"{path}: columns {expected} expected in every line: {_AGAIN}")
    return [Failure(clip, modality, file, reason) for clip, modality, file, reason in lines]


@contextmanager
def open_csv(path: Path, remedy: str) -> Iterator[TextIO]:
    """A table of the workspace, to be read by `csv`. Raises MtpkdError where it turns out to be none."""
    with path.open(newline="", encoding="utf-8") as stream:
        try:
            yield stream
        except (csv.Error, UnicodeDecodeError) as error:
            raise MtpkdError(f"{path}: no table ({error}): {remedy}") from None


def _label_cells(row: ClipRow, dimensions: int) -> list[object]:
    """Class index, class name, and the text that reads back as the same number of each dimension."""
    if isinstance(row.label, tuple):
        return ["", row.label_name, *map(repr, row.label)]
    return ["" if row.label is None else row.label, row.label_name, *[""] * dimensions]


def _parse(
    row: Mapping[str, str], dimensions: Sequence[str], attributes: Sequence[str], coverage: Sequence[str]
) -> ClipRow:
    label = int(row["label"]) if row["label"] else None
    values = tuple(float(row[name]) for name in dimensions if row[name])
    if len(values) not in (0, len(dimensions)):
        raise ValueError(f"{len(values)} of {len(dimensions)} label values")
    return ClipRow(
        clip=row["clip"],
        group=row["group"],
        label=values or label,
        label_name=row["class"],
        attributes={name: row[name] for name in attributes},
        coverage={name.removeprefix(COVERAGE): float(row[name]) for name in coverage},
    )
