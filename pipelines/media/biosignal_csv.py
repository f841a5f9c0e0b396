"""Reading a `_bio.csv`: tab-separated, a header line, time in microseconds.

A file that cannot be meant (no such column, a word between numbers, a wrong rate) is UnreadableMedia: the clip is
recorded and the run goes on. The rate is measured from the time column, never assumed, because every filter after this
depends on it.

Rectangular files of plain numbers, the usual case, are parsed in one call of pydantic's JSON parser, which rounds
exactly, and in less time than pandas needs (`benchmarks/biosignals.py`). Everything else (empty cells, text in columns
nobody asked for, a word) takes the slow path cell by cell, which can name the line at fault.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic_core import from_json

from pipelines.errors import UnreadableMedia
from pipelines.media.text_lines import read_lines
from pipelines.recipe import BiosignalSettings

MAX_BYTES = 64 * 2**20
"""Largest file that is read: 35 minutes of six columns at 512 Hz, a clip is 170 kB."""
MAX_ROWS = 2**21
"""Most samples of a recording: over an hour at 512 Hz."""
MAX_COLUMNS = 1024
"""Most columns of a file."""

_NUMERIC = b"0123456789.-+eENan "
_SEPARATORS = bytes.maketrans(b"\t\n", b",,")


@dataclass(frozen=True)
class Recording:
    """Biosignals of one clip as they were recorded.

    Attributes:
        channels: `eda` (microsiemens), `ecg` and `emg` (microvolts) -> (n,) float64, NaN where the file has no value.
            The units are those the corpus is believed to have: nothing here converts them.
        rate: Hz, measured as (n - 1) / (last time - first time).
    """

    channels: dict[str, np.ndarray]
    rate: float


def read_biosignals(path: Path, settings: BiosignalSettings) -> Recording:
    """Read one tab-separated recording with a header line.

    Columns are found by name, blanks around names do not matter, and columns nobody asked for are ignored, whatever
    they hold. Signals may be NaN, infinite or empty anywhere; `time` (microseconds) may not.

    Returns:
        The channels `eda` (column `gsr`), `ecg` and `emg` (column `settings.emg_channel`), each (n,) float64.

    Raises:
        UnreadableMedia: no such file, implausibly large, empty, a header only, one row, a column is missing or named
            twice, a cell is not a number or a line is cut short (naming the line), time does not increase, or the
            measured rate is not `settings.rate` within `settings.rate_tolerance`.
    """
    columns = {"time": "time", "eda": "gsr", "ecg": "ecg", "emg": settings.emg_channel}
    header, body = _read_lines(path)
    width = header.count(b"\t") + 1
    if width > MAX_COLUMNS:
        raise UnreadableMedia(path, f"{width} columns, at most {MAX_COLUMNS} are plausible")
    names = [name.strip() for name in header.decode("utf-8", "replace").split("\t")]
    wanted = [_position(path, names, column) for column in columns.values()]
    table = _parse_rectangle(body, width, wanted)
    lines = range(2, 2 + MAX_ROWS)
    if table is None:
        table, lines = _parse_cells(path, body, names, wanted)
    if table.shape[1] < 2:
        raise UnreadableMedia(path, f"{table.shape[1]} row(s) of samples, at least 2 are needed")
    rate = _measure_rate(path, table[0], lines, settings)
    return Recording(channels=dict(zip(("eda", "ecg", "emg"), table[1:], strict=True)), rate=rate)


def _read_lines(path: Path) -> tuple[bytes, bytes]:
    header, body = read_lines(path, max_bytes=MAX_BYTES)
    if not (header + body).strip():
        raise UnreadableMedia(path, "empty file")
    rows = body.count(b"\n")
    if rows > MAX_ROWS:
        raise UnreadableMedia(path, f"{rows} rows, at most {MAX_ROWS} are plausible")
    return header, body


def _position(path: Path, names: list[str], column: str) -> int:
    found = names.count(column)
    if found == 1:
        return names.index(column)
    shown = ", ".join(name[:40] for name in names[:12]) + (", ..." if len(names) > 12 else "")
    if found:
        raise UnreadableMedia(path, f"column {column!r} occurs {found} times among: {shown}")
    raise UnreadableMedia(path, f"no column {column!r} among the tab-separated columns: {' '.join(shown.split())}")


def _parse_rectangle(body: bytes, width: int, wanted: list[int]) -> np.ndarray | None:
    """(columns, rows) float64, or None unless every line has exactly `width` plain numbers."""
    if not body.endswith(b"\n"):
        body += b"\n"
    # What remains without the characters of numbers are the separators: they must repeat the header's pattern.
    separators = body.translate(None, _NUMERIC)
    line = b"\t" * (width - 1) + b"\n"
    if separators != line * (len(separators) // len(line)):
        return None
    # JSON's spelling of NaN; a cell that is no number at all makes the parser refuse the whole.
    text = body[:-1].replace(b"nan", b"NaN") if b"n" in body else body[:-1]
    try:
        values = from_json(b"[" + text.translate(_SEPARATORS) + b"]")
        return np.array([np.fromiter(values[position::width], np.float64) for position in wanted])
    except (ValueError, OverflowError):
        return None


def _parse_cells(path: Path, body: bytes, names: list[str], wanted: list[int]) -> tuple[np.ndarray, list[int]]:
    """(columns, rows) float64 and the line number of every row. Blank lines are skipped."""
    width = len(names)
    rows: list[list[float]] = []
    numbers: list[int] = []
    for number, line in enumerate(body.split(b"\n"), start=2):
        if not line.strip(b" "):
            continue
        cells = line.split(b"\t")
        if len(cells) < width or b"".join(cells[width:]).strip():
            raise UnreadableMedia(path, f"line {number} has {len(cells)} cells, the header has {width}: cut short?")
        rows.append([_parse_cell(path, number, names[position], cells[position]) for position in wanted])
        numbers.append(number)
    return np.array(rows, dtype=np.float64).reshape(-1, len(wanted)).T, numbers


def _parse_cell(path: Path, line: int, column: str, cell: bytes) -> float:
    if not cell.strip():
        return math.nan
    try:
        if b"_" in cell:  # Python's float takes digit groups, no recorder writes them
            raise ValueError
        return float(cell)
    except ValueError:
        shown = cell.strip().decode("utf-8", "replace")[:24]
        remedy = ": write numbers with a decimal point" if b"," in cell else ""
        raise UnreadableMedia(path, f"line {line}, column {column!r}: {shown!r} is not a number{remedy}") from None


def _measure_rate(path: Path, time: np.ndarray, lines: range | list[int], settings: BiosignalSettings) -> float:
    """Hz, from time in microseconds; lines[i] is where time[i] stands."""
    unknown = np.flatnonzero(~np.isfinite(time))
    if unknown.size:
        raise UnreadableMedia(path, f"line {lines[unknown[0]]}: time is missing or infinite")
    stalled = np.flatnonzero(time[1:] <= time[:-1])
    if stalled.size:
        row = stalled[0] + 1
        raise UnreadableMedia(path, f"line {lines[row]}: time {time[row]:g} does not come after {time[row - 1]:g}")
    with np.errstate(over="ignore", divide="ignore"):
        rate = float((time.size - 1) / ((time[-1] - time[0]) * 1e-6))
    if not abs(rate - settings.rate) <= settings.rate_tolerance * settings.rate:
        expected = f"{settings.rate:g} Hz +/- {100 * settings.rate_tolerance:g} %"
        raise UnreadableMedia(
            path, f"sampling rate {rate:.6g} Hz by its time in microseconds, expected {expected}: set biosignals.rate"
        )
    return rate
