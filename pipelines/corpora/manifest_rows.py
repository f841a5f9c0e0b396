"""The rows of a manifest: what each says of its clip, and every mistake by line and column.

- Ids and groups become names of files and of HDF5 groups, so what a path could make of them is refused.
- A path must lie in `corpus.root`, by its text: what links in there lead to is the user's own doing.
- A class is matched as it is written; a number also by its value, because a table with empty cells is often written
  with 1.0 where 1 was meant.
"""

import difflib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.corpora.clip import Failure
from pipelines.errors import SettingsError, UnreadableMedia
from pipelines.media.csv_table import MISSING, CsvTable, clipped, open_table, parse_number, shown
from pipelines.recipe import ManifestCorpus

Label = int | tuple[float, ...] | None

TEST = "test"
"""What the manifest's own split says of those who are tested; the others train."""
TRAIN = "train"

_MOST_MISTAKES = 10
_LONGEST_NAME = 120


@dataclass(frozen=True)
class ManifestRow:
    """One row.

    Attributes:
        place: file and line, `manifest.csv:7`.
        clip, group: names that are safe in paths.
        label: index of the class, one float a dimension, or None.
        partial: why a label that was begun counts as none.
        paths: modality -> path, for cells that are not empty.
        attributes: column -> cell; of the split's column `train` or `test`.
    """

    place: str
    clip: str
    group: str
    label: Label
    partial: Failure | None
    paths: Mapping[str, Path]
    attributes: Mapping[str, str]


def manifest_path(settings: ManifestCorpus) -> Path:
    """Where the manifest lies."""
    return settings.root / settings.file


def read_rows(settings: ManifestCorpus) -> list[ManifestRow]:
    """Every row of a manifest, in its order.

    Raises:
        SettingsError: there is no manifest, it is no CSV, or rows cannot be meant; names line and column of up to ten
            mistakes.
    """
    table = _open(settings)
    rows: list[ManifestRow] = []
    mistakes: list[str] = []
    lines: dict[str, int] = {}
    sides: dict[str, tuple[str, int]] = {}
    for line, cells, fault in _lines(table):
        if fault:
            mistakes.append(f"line {line} {fault}: a separator too few or too many, or quotes left open?")
            continue
        named = dict(zip(table.header, cells, strict=False))
        row, faults = _parse(f"{table.path}:{line}", named, settings)
        if row.clip and (first := lines.setdefault(row.clip, line)) != line:
            faults.append((settings.clip, f"the id {row.clip!r} stands in line {first} already, and ids are unique"))
        faults += _torn_group(row, line, sides, settings)
        mistakes += [f"line {line}, column {column!r}: {mistake}" for column, mistake in faults]
        rows.append(row)
    _refuse(table.path, mistakes)
    if not rows:
        raise SettingsError(f"{table.path}: a header, and no row: write one row a clip")
    if settings.split is not None and all(side != TEST for side, _ in sides.values()):
        raise SettingsError(
            f"{table.path}: no row says {TEST!r} in column {settings.split!r}: write it for the groups that are "
            "tested, or leave corpus.split out"
        )
    return rows


def _open(settings: ManifestCorpus) -> CsvTable:
    path = manifest_path(settings)
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise SettingsError(
            f"{path} {what}: corpus.root and corpus.file lead to a CSV with one row a clip; `mtpkd init manifest` "
            "writes an example"
        )
    try:
        table = open_table(path)
    except UnreadableMedia as error:
        raise SettingsError(f"{error}; a manifest is a CSV with one row a clip") from None
    settings_of = {settings.clip: "clip", settings.group: "group"}
    settings_of |= dict.fromkeys(settings.labels, "labels") | dict.fromkeys(settings.attributes, "attributes")
    settings_of |= {} if settings.split is None else {settings.split: "split"}
    for name, column in settings.columns.items():
        settings_of.setdefault(column, f"modalities.{name}.column")
    faults = [(table.column_fault(column), setting) for column, setting in settings_of.items()]
    _refuse(path, [f"line 1: {fault} (corpus.{setting})" for fault, setting in faults if fault])
    return table


def _lines(table: CsvTable) -> Iterator[tuple[int, list[str], str | None]]:
    """Line, cells, and why the row cannot be read."""
    try:
        for line, cells in table.rows():
            yield line, cells, table.width_fault(cells)
    except UnreadableMedia as error:
        raise SettingsError(str(error)) from None


def _refuse(path: Path, mistakes: Sequence[str]) -> None:
    if not mistakes:
        return
    more = f"\n  and {len(mistakes) - _MOST_MISTAKES} more" if len(mistakes) > _MOST_MISTAKES else ""
    listed = "\n  ".join(mistakes[:_MOST_MISTAKES])
    raise SettingsError(f"{path}: {len(mistakes)} mistake(s) in the manifest:\n  {listed}{more}")


def _parse(place: str, cells: Mapping[str, str], settings: ManifestCorpus) -> tuple[ManifestRow, list[tuple[str, str]]]:
    """A row, and its (column, mistake)s."""
    clip = cells[settings.clip]
    names = {settings.clip: clip, settings.group: cells[settings.group]}
    mistakes = [(column, fault) for column, name in names.items() if (fault := _name_fault(name))]
    label, partial, found = (_class if settings.task == "classes" else _dimensions)(cells, settings)
    side, unclear = _side(cells, settings)
    paths = {column: cells[column] for column in settings.columns.values() if cells[column]}
    astray = [(column, fault) for column, cell in paths.items() if (fault := _path_fault(cell, settings.root))]
    row = ManifestRow(
        place=place,
        clip=clip,
        group=cells[settings.group],
        label=label,
        partial=Failure(clip, "label", place, partial, tolerated=True) if partial else None,
        paths={name: settings.root / paths[column] for name, column in settings.columns.items() if column in paths},
        attributes={column: cells[column] for column in settings.attributes} | side,
    )
    return row, mistakes + found + unclear + astray


def _side(cells: Mapping[str, str], settings: ManifestCorpus) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Where the manifest's own split has the row, as an attribute."""
    if settings.split is None:
        return {}, []
    cell = cells[settings.split]
    word = cell.casefold()
    if word == TEST:
        return {settings.split: TEST}, []
    if word == TRAIN or word in MISSING:
        return {settings.split: TRAIN}, []
    mistake = f"{clipped(cell)!r} is neither {TEST!r} nor {TRAIN!r}"
    if word.startswith("val"):
        mistake += ": groups that stop the training early are drawn from those that train, see validation_share"
    return {}, [(settings.split, mistake)]


def _torn_group(
    row: ManifestRow, line: int, sides: dict[str, tuple[str, int]], settings: ManifestCorpus
) -> list[tuple[str, str]]:
    """The mistake of a row that is on another side of the split than its group's first; that one is noted."""
    side = row.attributes.get(settings.split or "")
    if settings.split is None or side is None:
        return []
    first, where = sides.setdefault(row.group, (side, line))
    if side == first:
        return []
    return [(settings.split, f"{side!r}, and line {where} of the same group {row.group!r} says {first!r}")]


def _name_fault(name: str) -> str | None:
    """Why an id cannot name a file, or None."""
    remedy = "it becomes part of file names: use letters, digits, - and _"
    if not name:
        return "the cell is empty"
    if not name.isprintable():
        return f"{name[:_LONGEST_NAME]!r} holds a control character; {remedy}"
    if "/" in name or "\\" in name or name.startswith("."):
        return f"{name[:_LONGEST_NAME]!r} holds a slash or begins with a dot; {remedy}"
    if len(name.encode()) > _LONGEST_NAME:
        return f"{clipped(name)!r} is longer than {_LONGEST_NAME} bytes; {remedy}"
    return None


def _path_fault(cell: str, root: Path) -> str | None:
    """Why a cell cannot be a path, or None."""
    if not cell.isprintable():
        return f"{clipped(cell)!r} holds a control character, and is no path"
    folder = os.path.abspath(root)
    if os.path.commonpath([folder, os.path.abspath(root / cell)]) != folder:
        return f"{clipped(cell)!r} leads out of corpus.root = {root}: set that to a folder that holds all of the files"
    return None


def _class(cells: Mapping[str, str], settings: ManifestCorpus) -> tuple[Label, None, list[tuple[str, str]]]:
    """Index of the class; a class may be called `na`."""
    (column,) = settings.labels
    cell = cells[column]
    if cell in settings.classes:
        return settings.classes.index(cell), None, []
    if cell.casefold() in MISSING:
        return None, None, []
    value = _number(cell)
    same = [index for index, name in enumerate(settings.classes) if value is not None and _number(name) == value]
    if len(same) == 1:
        return same[0], None, []
    near = difflib.get_close_matches(cell, settings.classes, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return None, None, [(column, f"{clipped(cell)!r} is none of corpus.classes, {shown(settings.classes)}{hint}")]


def _number(cell: str) -> float | None:
    try:
        return parse_number(cell)
    except ValueError:
        return None


def _dimensions(cells: Mapping[str, str], settings: ManifestCorpus) -> tuple[Label, str | None, list[tuple[str, str]]]:
    """One float a dimension; or None, and why where some are given."""
    values: dict[str, float] = {}
    mistakes = []
    for column in settings.labels:
        try:
            values[column] = parse_number(cells[column])
        except ValueError as error:
            mistakes.append((column, str(error)))
            continue
        if math.isinf(values[column]):
            mistakes.append((column, f"{clipped(cells[column])!r} is not finite: leave the cell empty for no label"))
    given = [column for column, value in values.items() if not math.isnan(value)]
    if mistakes or not given:
        return None, None, mistakes
    if len(given) < len(settings.labels):
        absent = [column for column in settings.labels if column not in given]
        return None, f"no {', '.join(absent)} beside {', '.join(given)}: the clip counts as one without a label", []
    return tuple(values[column] for column in settings.labels), None, []
