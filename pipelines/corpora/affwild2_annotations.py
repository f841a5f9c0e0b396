"""Reading a valence-arousal annotation file of Aff-Wild2: a header, then one line a frame.

- The order of the rows is the data: row i belongs to frame i. A line that cannot be used stays a row, without a value,
  and is told by its number; dropping it would shift every annotation behind it.
- A header that is not `valence,arousal` is another task's file, or has its columns swapped: the whole file is refused.
- Files of plain numbers, the usual case, are parsed in one call of pydantic's JSON parser. Anything else takes the slow
  path line by line, which can name the line at fault. Both accept the same values.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic_core import from_json

from pipelines.errors import UnreadableMedia
from pipelines.media.csv_table import clipped
from pipelines.media.text_lines import read_lines

COLUMNS = ("valence", "arousal")
"""The header, and the order of the columns of `Annotations.values`."""

UNANNOTATED = -5.0
"""In either column: the frame may enter neither a loss nor a metric."""

FEW_FRAMES, FEW_SHARE = 30, 0.02
"""Rows and frames of intact trials differ by a few; by more than both, one file is probably another trial's."""

MAX_BYTES = 64 * 2**20
"""Largest file that is read: about 50 hours of video; a trial of 20 minutes has half a megabyte."""

_LOOKED_AT = 160
_NUMERIC = b"0123456789.-+eE "
_SEPARATORS = bytes.maketrans(b"\n", b",")


@dataclass(frozen=True, eq=False)
class Annotations:
    """One trial.

    Attributes:
        values: (n, 2) float32, valence and arousal in [-1, 1]; both NaN in a row that is -5 in either, or faulty.
        faults: (line number, reason) of every line that cannot be used; row i stands in line i + 2.
    """

    values: np.ndarray
    faults: tuple[tuple[int, str], ...]

    @property
    def annotated(self) -> np.ndarray:
        """(n,) bool: rows that have a value."""
        return ~np.isnan(self.values[:, 0])


def read_annotations(path: Path) -> Annotations:
    """Read the annotations of a trial.

    Byte-order mark, any line ending, blanks, the header's case and blank lines at the end do not matter.

    Raises:
        UnreadableMedia: no such file, implausibly large, a wrong or absent header, or no row.
    """
    header, body = _read_lines(path)
    names = tuple(name.strip().casefold() for name in header.split(","))
    if names != COLUMNS:
        raise UnreadableMedia(path, f"line 1 is {_shown(header)}, the header {','.join(COLUMNS)!r} was expected")
    if not body:
        raise UnreadableMedia(path, "a header and no row: there is no annotated frame")
    table, faults = _parse_clean(body), ()
    if table is None:
        table, faults = _parse_lines(body)
    table[(table == UNANNOTATED).any(axis=1)] = math.nan
    return Annotations(table.astype(np.float32), faults)


def is_few(difference: int, rows: int) -> bool:
    """Whether rows and frames, or rows and numbers of images, differ by no more than those of intact trials do."""
    return abs(difference) <= max(FEW_FRAMES, FEW_SHARE * rows)


def _read_lines(path: Path) -> tuple[str, bytes]:
    """The header, and the rows without blank lines behind them."""
    header, body = read_lines(path, max_bytes=MAX_BYTES)
    return header.decode("utf-8", "replace"), body.rstrip()


def _parse_clean(body: bytes) -> np.ndarray | None:
    """(n, 2) float64, or None unless every line holds exactly two plain numbers that can be meant."""
    # What remains without the characters of numbers are the separators: they must repeat one line's pattern.
    separators = body.translate(None, _NUMERIC) + b"\n"
    if separators != b",\n" * (len(separators) // 2):
        return None
    try:
        values = from_json(b"[" + body.translate(_SEPARATORS) + b"]")
        table = np.fromiter(values, np.float64, len(values)).reshape(-1, 2)
    except (ValueError, OverflowError):
        return None
    return table if bool(_meant(table).all()) else None


def _parse_lines(body: bytes) -> tuple[np.ndarray, tuple[tuple[int, str], ...]]:
    """(n, 2) float64 with NaN in faulty rows, and the faults."""
    lines = body.split(b"\n")
    table = np.full((len(lines), 2), math.nan)
    faults = []
    for row, line in enumerate(lines):
        values, fault = _parse_line(line)
        if fault:
            faults.append((row + 2, fault))
        else:
            table[row] = values
    return table, tuple(faults)


def _parse_line(line: bytes) -> tuple[list[float], str]:
    """Valence and arousal, and why they cannot be used, or an empty text."""
    if not line.strip():
        return [], "the line is blank"
    cells = line.split(b",")
    if len(cells) != len(COLUMNS):
        return [], f"{len(cells)} column(s) in {_shown(line)}, {len(COLUMNS)} were expected"
    values = []
    for name, cell in zip(COLUMNS, cells, strict=True):
        try:
            # Python's float takes digit groups, no annotation tool writes them.
            value = float(b"_" if b"_" in cell else cell)
        except ValueError:
            return [], f"{name} {_shown(cell)} is not a number"
        if not _meant(value):
            return [], f"{name} {value:g} is outside [-1, 1] and not {UNANNOTATED:g}"
        values.append(value)
    return values, ""


def _meant(value):
    """Whether a value, or each of an array, is in [-1, 1] or the mark of an unannotated frame; NaN is neither."""
    return (abs(value) <= 1.0) | (value == UNANNOTATED)


def _shown(text: bytes | str) -> str:
    """Content of a file, quoted and short enough for one line of a message."""
    start = text[:_LOOKED_AT]  # a file that is something else may be one line of megabytes
    return repr(clipped(start.decode("utf-8", "replace") if isinstance(start, bytes) else start))
