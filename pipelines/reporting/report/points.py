"""Every fold and every group as a point of its own: a mean hides who a method makes worse.

Decisions. Each column is one fold and seed, or one group: a hollow circle for visual only, a filled marker for the
method, a line between them. Columns are sorted by the difference, so that those made worse stand together on the left;
they have another marker and colour, and are counted. Groups of few clips move either way by chance: the page says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

from markupsafe import Markup

from pipelines.metrics import Metric, NegativeTransfer, negative_transfer
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.figures import GRID, PAPER, SERIES, panels, svg
from pipelines.reporting.report.html import Cell, Number, details, figure, heading, join, paragraph, table
from pipelines.reporting.report.section import Section
from pipelines.reporting.report.words import (
    by_cell,
    by_group,
    headed,
    scaled,
    shown_first,
    unit,
    value_cell,
)
from pipelines.reporting.table import BASELINE, BASELINE_WORDS, format_number

ANCHOR, TITLE = "points", "Every fold and every subject"
ABSENT = "Folds and subjects are compared once visual only (none) and another method were distilled and evaluated."
_NAMED = 30
"""Most columns whose names fit below them."""
_LEVEL = 6
"""Most columns whose names fit side by side."""


@dataclass(frozen=True)
class Pairs:
    """One method against visual only, group by group or cell by cell.

    Attributes:
        method: its name.
        pairs: name -> (visual only, method), the largest loss first; only where both have a value.
        worse: those that are made worse.
        better: how many are made better.
    """

    method: str
    pairs: Mapping[str, tuple[float, float]]
    worse: NegativeTransfer
    better: int

    @classmethod
    def of(cls, method: str, mine: Mapping[str, float], theirs: Mapping[str, float], metric: Metric[Any]) -> "Pairs":
        """Pair what both have."""
        sign = 1 if metric.higher_is_better else -1
        both = {name: (theirs.get(name, nan), value) for name, value in mine.items()}
        known = {name: pair for name, pair in both.items() if not isnan(pair[0]) and not isnan(pair[1])}
        ordered = sorted(known.items(), key=lambda item: (sign * (item[1][1] - item[1][0]), item[0]))
        worse = negative_transfer(mine, theirs, higher_is_better=metric.higher_is_better)
        better = negative_transfer(theirs, mine, higher_is_better=metric.higher_is_better)
        return cls(method, dict(ordered), worse, len(better.losses))


def section(facts: Facts) -> Section | None:
    """Folds, then groups, of the student the page is about; then the same of every other."""
    first = shown_first(facts)
    if first is None or BASELINE not in facts.students:
        return None
    methods = [first, *(method for method in facts.students if method not in (first, BASELINE))]
    groups = [Pairs.of(method, by_group(facts, method), by_group(facts, BASELINE), facts.metric) for method in methods]
    parts = [*_folds(facts, methods), heading(f"Every {facts.unit[:-1]}"), paragraph(_counted(facts, groups[0]))]
    parts.append(_picture(facts, groups[0], facts.unit))
    parts.append(_worse_table(facts, groups))
    parts += [
        details(f"{pairs.method}: every {facts.unit[:-1]}", _picture(facts, pairs, facts.unit)) for pairs in groups[1:]
    ]
    parts.append(details(f"Numbers of every {facts.unit[:-1]}", _group_table(facts, methods)))
    return Section(ANCHOR, f"Every fold and every {facts.unit[:-1]}", join(parts))


def _folds(facts: Facts, methods: Sequence[str]) -> list[Markup]:
    """The cells of the first method drawn, those of all in a table; nothing where every fold is one group."""
    if facts.recipe.protocol.name == "loso":
        return []
    theirs = {_cell_name(cell): value for cell, value in by_cell(facts, BASELINE).items()}
    mine = {_cell_name(cell): value for cell, value in by_cell(facts, methods[0]).items()}
    pairs = Pairs.of(methods[0], mine, theirs, facts.metric)
    number = len(pairs.pairs)
    text = f"{methods[0]} was better than {BASELINE_WORDS} in {pairs.better} of {number} test folds and seeds."
    columns = ["fold", "seed", BASELINE_WORDS, *methods]
    values = [by_cell(facts, method) for method in (BASELINE, *methods)]
    lines: list[list[Cell]] = [
        [
            Number(str(fold), fold),
            Number(str(seed), seed),
            *(value_cell(known.get((fold, seed), nan), facts.metric) for known in values),
        ]
        for fold, seed in sorted(by_cell(facts, BASELINE))
    ]
    caption = f"{headed(facts.metric)} on every test fold, of results.csv"
    return [
        heading("Every fold and seed"),
        paragraph(text),
        _picture(facts, pairs, "folds and seeds"),
        details("Numbers of every fold and seed", table(columns, lines, caption=caption)),
    ]


def _cell_name(cell: tuple[int, int]) -> str:
    return f"fold {cell[0]}, seed {cell[1]}"


def _counted(facts: Facts, pairs: Pairs) -> str:
    """How many are better, equal and worse."""
    better, worse, number = pairs.better, len(pairs.worse.losses), pairs.worse.groups
    text = f"With {pairs.method}, of {number} {facts.unit} {better} are better than with {BASELINE_WORDS}, "
    text += f"{worse} worse and {number - better - worse} equal. "
    if pairs.worse.undefined:
        text += f"{pairs.worse.undefined} have no value and are left out. "
    return f"{text}One of few clips moves either way by chance: hold the count to a control's, not to zero."


def _picture(facts: Facts, pairs: Pairs, what: str) -> Markup:
    """Columns sorted by the difference; whoever is made worse has a triangle pointing down."""
    metric, names = facts.metric, list(pairs.pairs)
    drawing, (axes,) = panels(width=7.0, height=2.6 if len(names) > _NAMED else 3.2)
    for kind, marker, colour, label in (
        (False, "o", SERIES[0], pairs.method),
        (True, "v", SERIES[1], f"{pairs.method}, worse than {BASELINE_WORDS}"),
    ):
        places = [place for place, name in enumerate(names) if (name in pairs.worse.losses) == kind]
        ends = [pairs.pairs[names[place]] for place in places]
        theirs, mine = ([scaled(pair[side], metric) for pair in ends] for side in (0, 1))
        if not places:
            continue
        axes.vlines(places, theirs, mine, color=colour, linewidth=1.4)
        axes.plot(places, mine, linestyle="none", marker=marker, color=colour, markersize=6, label=label)
    axes.plot(
        range(len(names)), [scaled(pairs.pairs[name][0], metric) for name in names], linestyle="none", marker="o",
        color="black", markerfacecolor=PAPER, markersize=4, markeredgewidth=0.9, label=BASELINE_WORDS,
    )  # fmt: skip
    axes.set_ylabel(unit(metric))
    _name_columns(axes, names, what)
    drawing.legend(loc="outside upper left", ncols=3, fontsize=8, handletextpad=0.3)
    spoken = "; ".join(
        f"{name}: {format_number(theirs, metric)} to {format_number(mine, metric)}"
        for name, (theirs, mine) in pairs.pairs.items()
    )
    title = f"{metric.name} of {pairs.method} beside {BASELINE_WORDS}, {what}"
    description = (
        f"{len(pairs.worse.losses)} of {pairs.worse.groups} are worse. From {BASELINE_WORDS} to {pairs.method}: "
    )
    return figure(svg(drawing, title=title, description=f"{description}{spoken}."))


def _name_columns(axes: Any, names: Sequence[str], what: str) -> None:
    """Names below the columns, as long as there is room for them."""
    axes.grid(axis="y", color=GRID)
    axes.set_xlim(-0.7, max(len(names), 1) - 0.3)
    if len(names) > _NAMED:
        axes.set_xticks([])
        axes.set_xlabel(f"{len(names)} {what}, by their difference")
        return
    steep: dict[str, Any] = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if len(names) > _LEVEL else {}
    axes.set_xticks(range(len(names)), names, fontsize=8, **steep)


def _worse_table(facts: Facts, groups: Sequence[Pairs]) -> Markup:
    """Whom each method makes worse, and by how much at most."""
    lines: list[list[Cell]] = [
        [
            pairs.method,
            Number(str(len(pairs.worse.losses)), len(pairs.worse.losses)),
            Number(str(pairs.worse.groups), pairs.worse.groups),
            value_cell(pairs.worse.worst, facts.metric),
            next(iter(pairs.worse.losses), "-"),
        ]
        for pairs in groups
    ]
    caption = f"{facts.unit} for whom a method is worse than {BASELINE_WORDS}"
    columns = ["method", "worse", "compared", f"worst loss, {headed(facts.metric)}", "of"]
    return table(columns, lines, caption=caption)


def _group_table(facts: Facts, methods: Sequence[str]) -> Markup:
    """A row a group, a column a method."""
    clips = {row.group: row.clips for row in facts.groups}
    values = [by_group(facts, method) for method in (BASELINE, *methods)]
    first = Pairs.of(methods[0], values[1], values[0], facts.metric)
    lines: list[list[Cell]] = []
    for group, number in sorted(clips.items()):
        theirs, mine = first.pairs.get(group, (nan, nan))
        known = [value_cell(column.get(group, nan), facts.metric) for column in values]
        change = Number(format_number(mine - theirs, facts.metric, signed=True), mine - theirs)
        mark = "worse" if group in first.worse.losses else ""
        lines.append([group, Number(str(number), number), *known, change, mark])
    columns = [facts.unit[:-1], "clips", BASELINE_WORDS, *methods, f"{methods[0]} minus {BASELINE_WORDS}", "made worse"]
    caption = f"{headed(facts.metric)} of every {facts.unit[:-1]}, mean over seeds, of results_by_group.csv"
    return table(columns, lines, caption=caption)
