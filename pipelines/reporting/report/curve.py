"""What fewer labels cost: every share of labels that `mtpkd compare --labelled` tried, side by side.

Decisions. Shares stand at equal distances: what is asked is what happens from one to the next. Visual only, the student
the page is about and the controls are drawn, all methods are in the table.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from pipelines.metrics import Metric
from pipelines.reporting.comparison import CONTROLS
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.figures import LINES, MARKERS, SERIES, panels, svg
from pipelines.reporting.report.html import Cell, Number, figure, join, paragraph, table
from pipelines.reporting.report.section import Section
from pipelines.reporting.report.words import (
    difference_cell,
    headed,
    named,
    number,
    scaled,
    shown_first,
    unit,
    value_cell,
)
from pipelines.reporting.table import BASELINE, BASELINE_WORDS, format_interval, format_number

ANCHOR, TITLE = "labels", "With fewer labels"
ABSENT = "What fewer labels cost appears here once mtpkd compare --labelled 0.1,0.3,1 has run."
Known = Mapping[str, float]
"""`value`, `low` and `high`, NaN where there is none."""


def section(facts: Facts) -> Section | None:
    """Values and paired differences over the share of labels."""
    if not facts.curve:
        return None
    values = {share: _values(compared) for share, compared in facts.curve.items()}
    differences = {share: _differences(compared) for share, compared in facts.curve.items()}
    text = (
        f"The same folds and seeds with the labels of only some training {facts.unit}; the others are there without. "
        f"Where labels are few, compare with {BASELINE_WORDS} at the same share: it had as few."
    )
    parts = [paragraph(text), _picture(facts, values, differences), _table(facts, values, differences)]
    return Section(ANCHOR, TITLE, join(parts))


def _values(compared: Mapping[str, Any]) -> dict[str, Known]:
    """Method -> its value at one share, visual only first."""
    items = {item["method"]: item["value"] for item in compared["comparisons"]}
    return {name: _known(found) for name, found in {BASELINE: compared["baseline"], **items}.items()}


def _differences(compared: Mapping[str, Any]) -> dict[str, Known]:
    """Method -> its paired difference to visual only at one share."""
    return {item["method"]: _known(item["against"].get(BASELINE)) for item in compared["comparisons"]}


def _known(found: Mapping[str, Any] | None) -> Known:
    return {key: number(found or {}, key) for key in ("value", "low", "high")}


def _picture(
    facts: Facts, values: Mapping[float, Mapping[str, Known]], differences: Mapping[float, Mapping[str, Known]]
) -> Markup:
    """Values on the left, differences on the right; whiskers are intervals."""
    metric, shares = facts.metric, list(values)
    there = next(iter(values.values()))
    methods = [name for name in dict.fromkeys((BASELINE, shown_first(facts), *CONTROLS)) if name in there]
    drawing, (left, right) = panels(1, 2, width=7.0, height=3.2)
    for place, method in enumerate(str(name) for name in methods):
        offset = 0.09 * (place - (len(methods) - 1) / 2)
        for axes, known in ((left, values), (right, differences)):
            lines = [known[share][method] for share in shares if method in known[share]]
            if lines:
                _line(axes, lines, metric, place, offset, named(method))
    right.axhline(0, color="black", linewidth=0.8)
    for axes, title in (
        (left, unit(metric)),
        (right, f"minus {BASELINE_WORDS}{' (points)' if metric.percent else ''}"),
    ):
        axes.set_title(title)
        axes.set_xticks(range(len(shares)), [f"{100 * share:g} %" for share in shares])
        axes.set_xlim(-0.4, len(shares) - 0.6)
        axes.set_xlabel(f"training {facts.unit} with labels")
        axes.grid(axis="y")
    drawing.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=8)
    spoken = "; ".join(
        f"{100 * share:g} % labelled: "
        + ", ".join(f"{named(name)} {format_number(known['value'], metric)}" for name, known in members.items())
        for share, members in values.items()
    )
    return figure(svg(drawing, title=f"{metric.name} over the share of labels", description=f"{spoken}."))


def _line(axes: Any, known: Sequence[Known], metric: Metric[Any], place: int, offset: float, label: str) -> None:
    places = [share + offset for share in range(len(known))]
    value, low, high = ([scaled(each[key], metric) for each in known] for key in ("value", "low", "high"))
    colour = SERIES[place % len(SERIES)]
    look: Any = {"marker": MARKERS[place % len(MARKERS)], "linestyle": LINES[place % len(LINES)]}
    axes.vlines(places, low, high, color=colour, linewidth=1.2)
    axes.plot(places, value, color=colour, linewidth=1.2, markersize=5, label=label, **look)


def _table(
    facts: Facts, values: Mapping[float, Mapping[str, Known]], differences: Mapping[float, Mapping[str, Known]]
) -> Markup:
    metric = facts.metric
    lines: list[list[Cell]] = []
    for share, members in values.items():
        for method, known in members.items():
            interval = format_interval(known["low"], known["high"], metric)
            apart = differences[share].get(method, _known(None))
            lines.append(
                [
                    Number(f"{100 * share:g} %", share),
                    named(method),
                    value_cell(known["value"], metric),
                    Number(interval, known["low"]),
                    difference_cell(apart["value"], apart["low"], apart["high"], metric),
                ]
            )
    confidence = f"{100 * facts.recipe.evaluation.confidence:g} % interval"
    columns = ["labels", "method", headed(metric), confidence, f"vs {BASELINE_WORDS}"]
    return table(columns, lines, caption=f"{metric.name} over the share of labels, of comparison.json of each share")
