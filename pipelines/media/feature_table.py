"""Reading features that were computed elsewhere: a CSV with one row a clip, or a `.npy` a clip.

- What is not finite is missing, as NaN: an infinite ratio says as little as an empty cell.
- Columns without a name are no features: they are row numbers that a script wrote, or the end of a line.
- The clips may be read without the numbers, so that an index of the corpus costs little.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.errors import UnreadableMedia
from pipelines.media.csv_table import CsvTable, clipped, open_table, parse_number
from pipelines.media.npy_file import read_npy


@dataclass(frozen=True)
class FeatureRows:
    """Features of many clips.

    Attributes:
        names: of the K features, in the order of the columns or as they were asked for.
        rows: clip -> (K,) float32, NaN where the table has no finite value; in the order of the table.
    """

    names: tuple[str, ...]
    rows: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class FeatureIndex:
    """Which features a table has, and which clips.

    Attributes:
        names: of the K features.
        lines: clip -> line of its row.
    """

    names: tuple[str, ...]
    lines: Mapping[str, int]


def read_feature_table(
    path: Path, key: str | None, features: Sequence[str] | None, *, default_key: str | None = None
) -> FeatureRows:
    """Read a CSV (comma, tab or semicolon) with a header, one row a clip and one feature a column.

    Args:
        path: the table.
        key: column with the clips' ids; None is `default_key` where the table has a column of that name, or else the
            first column, named or not.
        features: columns to read, in this order; None takes every column that has a name but the key.
        default_key: what the manifest calls a clip's id.

    Raises:
        UnreadableMedia: the file cannot be read; no such columns; no feature; a row that is cut short, has no key, or
            the key of another row; a cell that is not a number. Lines and columns are named.
    """
    table = open_table(path)
    position = _key_position(table, key, default_key)
    wanted = _feature_positions(table, position, features)
    rows = {}
    for line, cells, clip in _keyed_rows(table, position):
        rows[clip] = _parse_row(table, line, cells, wanted)
    return FeatureRows(names=tuple(table.header[column] for column in wanted), rows=rows)


def read_feature_index(
    path: Path, key: str | None, features: Sequence[str] | None, *, default_key: str | None = None
) -> FeatureIndex:
    """What `read_feature_table` would find, without its numbers. Raises the same, but for cells that are no numbers."""
    table = open_table(path)
    position = _key_position(table, key, default_key)
    wanted = _feature_positions(table, position, features)
    lines = {clip: line for line, _, clip in _keyed_rows(table, position)}
    return FeatureIndex(names=tuple(table.header[column] for column in wanted), lines=lines)


def read_feature_vector(path: Path) -> np.ndarray:
    """(K,) float32 of a `.npy` of shape (K,), (K, 1) or (1, K); what is not finite is NaN.

    Raises:
        UnreadableMedia: see `read_npy`.
    """
    return _finite(read_npy(path))


def _key_position(table: CsvTable, key: str | None, default_key: str | None) -> int:
    if key is not None:
        return table.position(key)
    return table.position(default_key) if default_key in table.header and default_key is not None else 0


def _feature_positions(table: CsvTable, key: int, features: Sequence[str] | None) -> list[int]:
    if features is not None:
        return [table.position(name) for name in features]
    positions = [index for index, name in enumerate(table.header) if name and index != key]
    if not positions:
        raise UnreadableMedia(table.path, "there is no column beside the clips' ids")
    times = Counter(table.header)
    for index in positions:
        if times[table.header[index]] > 1:
            table.position(table.header[index])  # says so
    return positions


def _keyed_rows(table: CsvTable, key: int) -> Iterator[tuple[int, list[str], str]]:
    """Line, cells and clip of every row."""
    lines: dict[str, int] = {}
    for line, cells in table.full_rows():
        clip = cells[key]
        if not clip:
            raise UnreadableMedia(table.path, f"line {line}: the clip's id in column {table.header[key]!r} is empty")
        if clip in lines:
            reason = (
                f"lines {lines[clip]} and {line} have the same id in column {table.header[key]!r}: {clipped(clip)!r}"
            )
            raise UnreadableMedia(table.path, reason)
        lines[clip] = line
        yield line, cells, clip


def _parse_row(table: CsvTable, line: int, cells: Sequence[str], wanted: Sequence[int]) -> np.ndarray:
    values = np.empty(len(wanted))
    for index, column in enumerate(wanted):
        try:
            values[index] = parse_number(cells[column])
        except ValueError as error:
            remedy = "; choose columns with `features`"
            raise UnreadableMedia(
                table.path, f"line {line}, column {table.header[column]!r}: {error}{remedy}"
            ) from None
    return _finite(values)


def _finite(values: np.ndarray) -> np.ndarray:
    """(K,) float32; what is not finite there, overflow included, is NaN."""
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    return np.where(np.isfinite(values), values, np.float32("nan"))
