"""The result table of a run, and the sentence below it.

Decisions. It fits 80 columns and says everything without colour: the interval of the difference is also drawn, so that
"does it cross zero?" is seen before it is read. The drawing is to the scale of the students, where the question is; an
arrow head stands for what lies beyond it. Continuous dimensions have a column each; interval, difference and verdict
are those of their mean, and where the drawing does not fit beside them it is left out, because no number may be. The
verdict is `metrics.judge_gain`'s, word for word what `mtpkd compare` says. Nothing is computed here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import copysign, isnan
from typing import Any, Literal

from rich.box import HORIZONTALS
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pipelines.metrics import Metric, better_side
from pipelines.recipe import Task

BASELINE = "none"
BASELINE_WORDS = "visual only"
HEADLINE = "mt-pkdot"
HALF = 6  # columns of the drawing on each side of zero
NAME_COLUMNS = 15
"""The longest line of a method's name."""
TITLE_COLUMNS = 72
"""The narrowest table: of a longer title, the note in parentheses goes on a line of its own."""
COLUMNS = 80
"""The widest line: in a longer title, labels are counted instead of named."""
UNDEFINED = float("nan")


@dataclass(frozen=True)
class ResultRow:
    """One line of the table: a method's value and its paired difference to the visual-only baseline.

    Values are in the metric's own unit (accuracy 0.75, not 75). NaN where there is none: an interval over one group,
    the baseline's difference to itself. `clips` are clips, or trials with `frames` annotated frames in all. `verdict`
    is the sentence on a student that was compared with the baseline, empty for all others.
    """

    method: str
    role: Literal["teacher", "student"]
    clips: int
    groups: int
    value: float
    low: float
    high: float
    difference: float = UNDEFINED
    difference_low: float = UNDEFINED
    difference_high: float = UNDEFINED
    frames: int = 0
    verdict: str = ""

    @property
    def is_baseline(self) -> bool:
        """Whether the other rows are compared with this one."""
        return self.role == "student" and self.method == BASELINE


Dimensions = Mapping[str, Sequence[ResultRow]]
"""Label of a continuous dimension -> the rows of that dimension alone."""


def results_table(
    rows: Sequence[ResultRow],
    *,
    metric: Metric[Any],
    task: Task,
    note: str,
    confidence: float = 0.95,
    dimensions: Dimensions | None = None,
    unit: str = "groups",
    drawn: bool = True,
) -> Table:
    """Teachers first, then students, each in the order given.

    Args:
        rows: one a method.
        metric: what the values are; it decides the digits and which direction is better.
        task: what was predicted, for the title.
        note: how it was measured, e.g. "5 folds by subject, 2 seeds, 2000 resamples of test subjects".
        confidence: coverage of the intervals.
        dimensions: label -> rows of that continuous dimension alone; `rows` are then those of the mean.
        unit: what the groups are, in the plural.
        drawn: whether the differences are drawn too; with `dimensions` that takes more than 80 columns.

    Returns:
        A table; a method name that does not fit is wrapped.
    """
    table = Table(
        title=_title(rows, metric, task, unit), title_justify="left", title_style="bold", box=HORIZONTALS,
        show_edge=False, caption="\n" + note, caption_justify="left", caption_style="dim", border_style="dim",
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column("method", overflow="fold")
    interval, compared = f"{100 * confidence:g} % interval", f"vs {BASELINE_WORDS}"
    for heading in (*(dimensions or ()), _heading(metric, dimensions), interval, compared):
        table.add_column(heading, justify="right", no_wrap=True)
    if drawn:
        table.add_column("worse  better" if metric.higher_is_better else "better  worse", no_wrap=True)
    _add_rows(table, rows, metric, dimensions or {}, drawn)
    return table


def _add_rows(
    table: Table, rows: Sequence[ResultRow], metric: Metric[Any], dimensions: Dimensions, drawn: bool
) -> None:
    known = [{(row.role, row.method): row.value for row in part} for part in dimensions.values()]
    reach = _reach([row for row in rows if row.role == "student"]) or _reach(rows)
    for role in ("teacher", "student"):
        members = [row for row in rows if row.role == role]
        if members:
            table.add_section()
            table.add_row(Text(f"{role}s", style="dim"))
        for row in members:
            values = [Text(format_number(part.get((role, row.method), UNDEFINED), metric)) for part in known]
            cells: list[Text | _Whisker] = [Text(_broken(row.method)), *values, *_cells(row, metric)]
            if drawn and not row.is_baseline:
                cells.append(_Whisker(row, reach, _style(row, metric)))
            table.add_row(*cells, style="bold" if row.method == HEADLINE else "")


def _broken(name: str) -> str:
    """A name in lines that fit beside the widest numbers in 80 columns, broken after hyphens where it has any."""
    head = name[:NAME_COLUMNS].rfind("-") + 1
    return f"{name[:head]}\n{_broken(name[head:])}" if len(name) > NAME_COLUMNS and head else name


def verdict(row: ResultRow) -> str:
    """What a student's comparison with the baseline allows to say, in words."""
    return f"{row.method}: {row.verdict or f'not compared, there is no {BASELINE_WORDS} student'}"


def print_table(
    console: Console,
    rows: Sequence[ResultRow],
    *,
    metric: Metric[Any],
    task: Task,
    note: str,
    confidence: float = 0.95,
    dimensions: Dimensions | None = None,
    unit: str = "groups",
) -> None:
    """Print the table and, below it, the verdict on MT-PKDOT where it was run. Args are those of `results_table`."""
    table = partial(
        results_table,
        rows,
        metric=metric,
        task=task,
        note=note,
        confidence=confidence,
        dimensions=dimensions,
        unit=unit,
    )
    full = table()
    fits = (
        not dimensions
        or Measurement.get(console, console.options.update(max_width=1000), full).maximum <= console.width
    )
    console.print(full if fits else table(drawn=False))
    for row in rows:
        if row.method == HEADLINE:
            console.print(Text("\n" + verdict(row), style="bold"))


def _title(rows: Sequence[ResultRow], metric: Metric[Any], task: Task, unit: str) -> Text:
    """E.g. `accuracy, BL1 / PA4: 200 clips of 20 groups`; rows tested on fewer clips are named."""
    most = max(rows, key=lambda row: row.clips, default=None)
    if most is None:
        return Text(f"{metric.name}: nothing was evaluated")
    count = f"{most.clips} {'trials' if most.frames else 'clips'} of {most.groups} {unit}"
    count += f", {most.frames:,} frames" if most.frames else ""
    title, note = describe_task(metric, task, count), _fewer(rows, most.clips)
    fits = len(title) + len(note) < TITLE_COLUMNS
    return Text(f"{title}{' ' if fits else chr(10)}{note}".rstrip())


def describe_task(metric: Metric[Any], task: Task, count: str = "") -> str:
    """What was measured of which labels, e.g. `accuracy, BL1 / PA4`; labels too many for a line are counted.

    Args:
        metric: by which.
        task: whose labels.
        count: on how much, e.g. `200 clips of 20 groups`.
    """
    rest = f": {count}" if count else ""
    named = f"{metric.name}, {' / '.join(task.labels)}{rest}"
    kind = "classes" if task.kind == "classes" else "dimensions"
    return named if len(named) <= COLUMNS else f"{metric.name}, {task.num_outputs} {kind}{rest}"


def _fewer(rows: Sequence[ResultRow], most: int) -> str:
    """Who was tested on fewer clips than the most, e.g. `(faces, all students on 603; eda on 601)`."""
    students = [row for row in rows if row.role == "student"]
    alike = len(students) > 1 and len({row.clips for row in students}) == 1
    by_count: dict[int, dict[str, None]] = {}
    for row in rows:
        if row.clips != most:
            name = "all students" if alike and row.role == "student" else row.method
            by_count.setdefault(row.clips, {})[name] = None
    parts = [f"{', '.join(names)} on {count}" for count, names in by_count.items()]
    return f"({'; '.join(parts)})" if parts else ""


def _heading(metric: Metric[Any], dimensions: Dimensions | None) -> str:
    if dimensions:
        # The challenge calls the mean concordance P.
        return "P" if metric.name == "ccc" else "mean"
    return metric.name.replace("-", "\n", 1) + (" %" if metric.percent else "")


def _cells(row: ResultRow, metric: Metric[Any]) -> list[Text]:
    value, interval = format_number(row.value, metric), format_interval(row.low, row.high, metric)
    if row.is_baseline:
        return [Text(value), Text(interval), Text("baseline", style="dim")]
    return [Text(value), Text(interval), Text(_difference(row, metric), style=_style(row, metric))]


def _style(row: ResultRow, metric: Metric[Any]) -> str:
    side = better_side(row.difference_low, row.difference_high, metric.higher_is_better)
    return {1: "green", 0: "", -1: "red"}[side]


def _difference(row: ResultRow, metric: Metric[Any]) -> str:
    """E.g. `+3.1 [-0.4, +6.2]`."""
    interval = format_interval(row.difference_low, row.difference_high, metric, signed=True)
    return f"{format_number(row.difference, metric, signed=True)} {interval}".rstrip()


def format_number(value: float, metric: Metric[Any], *, signed: bool = False) -> str:
    """Percent with one decimal; others with three and, as is usual for correlations, no zero before the dot."""
    if isnan(value):
        return "-"
    text = f"{100 * value:+.1f}" if metric.percent else re.sub(r"^([+-])0", r"\1", f"{value:+.3f}")
    return text if signed else text.removeprefix("+")


def format_interval(low: float, high: float, metric: Metric[Any], *, signed: bool = False) -> str:
    if isnan(low):
        return ""
    return f"[{format_number(low, metric, signed=signed)}, {format_number(high, metric, signed=signed)}]"


def _reach(rows: Sequence[ResultRow]) -> float:
    """Largest distance from zero of any end of a difference's interval; 0 where there is none."""
    ends = [abs(end) for row in rows for end in (row.difference_low, row.difference, row.difference_high)]
    return max((end for end in ends if not isnan(end)), default=0.0)


@dataclass(frozen=True)
class _Whisker:
    """The interval of a difference, drawn with zero in the middle and `reach` at the ends."""

    row: ResultRow
    reach: float
    style: str

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(2 * HALF + 1, 2 * HALF + 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        zero, line, cross, dot, left, right = "|-+o<>" if options.ascii_only else "│─┼●◂▸"
        row = self.row
        low, middle, high = (self._column(v) for v in (row.difference_low, row.difference, row.difference_high))
        cells = [line if low <= column <= high else " " for column in range(-HALF, HALF + 1)]
        cells[HALF] = cross if low <= 0 <= high else zero
        if -HALF <= middle <= HALF:
            cells[HALF + int(middle)] = dot
        if any(column < -HALF for column in (low, middle, high)):
            cells[0] = left
        if any(column > HALF for column in (low, middle, high)):
            cells[-1] = right
        yield Text("".join(cells), style=self.style, no_wrap=True)

    def _column(self, value: float) -> float:
        """Column of a value, 0 in the middle, possibly outside the drawing; only zero itself is drawn at zero."""
        if isnan(value) or value == 0:
            return value
        return round(HALF * value / self.reach) or copysign(1, value)
