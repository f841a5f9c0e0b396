"""Reading one sampled signal: a column of a CSV with one sample a row, or a `.npy`.

The rate stands in the recipe, not in the file: a time column, where there is one, is a column like any other.
"""

from pathlib import Path

import numpy as np

from pipelines.errors import UnreadableMedia
from pipelines.media.csv_table import CsvTable, open_table, parse_number, shown
from pipelines.media.npy_file import read_npy


def read_signal(path: Path, channel: str | None) -> np.ndarray:
    """Read a signal as it was recorded.

    Args:
        path: a `.npy` of shape (n,), (n, 1) or (1, n); anything else is read as CSV (comma, tab or semicolon) with a
            header and one sample a row.
        channel: column of a CSV; None where it has only one. A `.npy` has but one.

    Returns:
        (n,) float64, n >= 1; NaN where a cell is empty, `na` or `nan`; infinite where the file says so.

    Raises:
        UnreadableMedia: the file cannot be read, has no such column, or a cell is not a number (line and column are
            named).
    """
    if path.suffix.casefold() == ".npy":
        return read_npy(path)
    table = open_table(path)
    position = _position(table, channel)
    values = []
    for line, cells in table.full_rows():
        try:
            values.append(parse_number(cells[position]))
        except ValueError as error:
            raise UnreadableMedia(path, f"line {line}, column {table.header[position]!r}: {error}") from None
    if not values:
        raise UnreadableMedia(path, "a header, and no sample")
    return np.array(values, np.float64)


def _position(table: CsvTable, channel: str | None) -> int:
    if channel is not None:
        return table.position(channel)
    if len(table.header) > 1:
        reason = f"{len(table.header)} columns ({shown(table.header)}): say which one with `channel`"
        raise UnreadableMedia(table.path, reason)
    name = "".join(table.header)
    # pandas writes a header "0" over a series without a name; any other number is a first sample.
    if name != "0" and _is_number(name):
        raise UnreadableMedia(table.path, f"line 1 is {name!r}, the name of the column was expected: add one")
    return 0


def _is_number(cell: str) -> bool:
    try:
        parse_number(cell)
    except ValueError:
        return False
    return True
