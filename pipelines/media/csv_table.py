"""Reading the CSV files that people write: with commas, tabs or semicolons, from a spreadsheet or from a script.

- The separator is the one that cuts the header into most columns. Nothing is guessed from the rows.
- Lines are counted as an editor counts them, the header being line 1, also where a quoted cell spans several.
- Blanks around cells, blank lines and empty cells beyond the header's width do not matter; a row that is too short
  does, because nobody can say which of its cells is the missing one.
"""

import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import UnreadableMedia
from pipelines.media.whole_file import read_whole

MAX_BYTES = 256 * 2**20
"""Largest file that is read."""
MAX_COLUMNS = 2**16
"""Most columns of a table."""
SEPARATORS = (",", "\t", ";")
MISSING = frozenset({"", "na", "nan"})
"""What stands for a value that is not there, in any case of letters."""

_MOST_NAMES = 8
_MOST_COMPARED = 1000
_MOST_CHARACTERS = 40


@dataclass(frozen=True)
class CsvTable:
    """A file that has a header; its rows are parsed as they are asked for.

    Attributes:
        path: the file.
        header: names of the columns, of which some may be empty or occur twice.
    """

    path: Path
    header: tuple[str, ...]
    _text: str
    _separator: str

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line and cells of every row that is not blank.

        In a file of one column a blank line is an empty cell, unless nothing follows it.

        Raises:
            UnreadableMedia: a row that no CSV file can have.
        """
        reader = _reader(self._text, self._separator)
        above, blank = 0, []
        try:
            for row in reader:
                line, above = above + 1, reader.line_num
                cells = [cell.strip() for cell in row]
                if line == 1:
                    continue
                if not row and len(self.header) == 1:
                    blank.append(line)
                elif any(cells) or len(self.header) == 1:
                    yield from ((number, [""]) for number in blank)
                    blank.clear()
                    yield line, cells
        except csv.Error as error:
            raise UnreadableMedia(self.path, f"line {above + 1} is not CSV: {error}") from None

    def full_rows(self) -> Iterator[tuple[int, list[str]]]:
        """The same. Raises UnreadableMedia for a row that is not as wide as the header, too."""
        for line, cells in self.rows():
            if fault := self.width_fault(cells):
                raise UnreadableMedia(self.path, f"line {line} {fault}")
            yield line, cells

    def width_fault(self, cells: Sequence[str]) -> str | None:
        """Why a row does not fit the header, or None."""
        width = len(self.header)
        if len(cells) == width or (len(cells) > width and not any(cells[width:])):
            return None
        return f"has {len(cells)} cells, the header has {width}"

    def position(self, name: str) -> int:
        """Index of the column of this name. Raises UnreadableMedia where there is none, or more than one."""
        if fault := self.column_fault(name):
            raise UnreadableMedia(self.path, fault)
        return self.header.index(name)

    def column_fault(self, name: str) -> str | None:
        """Why a name does not mean one column, or None."""
        found = self.header.count(name)
        if found == 1:
            return None
        if found:
            return f"column {name!r} occurs {found} times"
        near = difflib.get_close_matches(name, self.header[:_MOST_COMPARED], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"there is no column {name!r} among {shown(self.header)}{hint}"


def open_table(path: Path) -> CsvTable:
    """Read a CSV file with a header; a byte order mark does not matter.

    Raises:
        UnreadableMedia: the file cannot be read, is implausibly large, not UTF-8, or empty.
    """
    try:
        text = read_whole(path, max_bytes=MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 text ({error.reason} at byte {error.start}): save it as CSV in UTF-8"
        raise UnreadableMedia(path, reason) from None
    if not text.strip():
        raise UnreadableMedia(path, "empty file")
    separator, header = _find_header(path, text)
    if len(header) > MAX_COLUMNS:
        raise UnreadableMedia(path, f"{len(header)} columns, at most {MAX_COLUMNS} can be read")
    if not any(header):
        raise UnreadableMedia(path, "line 1 is blank, and the names of the columns were expected there")
    return CsvTable(path, header, text, separator)


def shown(names: Sequence[str]) -> str:
    """Names for a message of one line, the first few of many."""
    listed = ", ".join(repr(clipped(name)) for name in names[:_MOST_NAMES])
    return listed + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")


def clipped(text: str) -> str:
    """A value for a message of one line."""
    text = " ".join(text.split())
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."


def parse_number(cell: str) -> float:
    """A cell as a number, NaN for a missing one; infinities are kept.

    Raises:
        ValueError: it is neither; the message says what it is, and the remedy.
    """
    if cell.casefold() in MISSING:
        return float("nan")
    try:
        if "_" in cell:  # Python's float takes digit groups, nobody else writes them
            raise ValueError
        return float(cell)
    except ValueError:
        remedy = ": write numbers with a decimal point" if "," in cell else ""
        raise ValueError(f"{clipped(cell)!r} is not a number{remedy}") from None


def _find_header(path: Path, text: str) -> tuple[str, tuple[str, ...]]:
    """The separator that cuts the first line into most names, and the names."""
    best, header, fault = SEPARATORS[0], (), ""
    for separator in SEPARATORS:
        try:
            names = next(_reader(text, separator))
        except csv.Error as error:  # a quote that ends where no separator follows: another one was meant
            fault = fault or f"line 1 is not CSV: {error}"
            continue
        if len(names) > len(header):
            best, header = separator, tuple(name.strip() for name in names)
    if not header and fault:
        raise UnreadableMedia(path, fault)
    return best, header


def _reader(text: str, separator: str):
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
