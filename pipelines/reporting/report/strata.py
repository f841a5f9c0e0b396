"""By sex and age band, where the corpus knows them: a mean over everyone hides who a model works worse for."""

from collections.abc import Sequence
from math import isnan, nan
from typing import Any

from markupsafe import Markup

from pipelines.metrics import Estimate, Metric
from pipelines.reporting.comparison import CONTROLS
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.figures import MARKERS, SERIES, panels, svg
from pipelines.reporting.report.html import Cell, Number, figure, join, paragraph, table
from pipelines.reporting.report.section import Section
from pipelines.reporting.report.words import difference_cell, headed, named, scaled, shown_first, unit
from pipelines.reporting.strata import LEAST_GROUPS, Stratum
from pipelines.reporting.table import BASELINE, BASELINE_WORDS, format_interval, format_number

ANCHOR, TITLE = "strata", "By sex and age"
ABSENT = "The corpus names neither sex nor age of who was recorded: columns sex and age of a manifest would."


def section(facts: Facts) -> Section | None:
    """Values of every stratum drawn, and with paired differences in a table."""
    if not facts.strata:
        return None
    first = shown_first(facts)
    drawn = [method for method in (BASELINE, first) if method and method in facts.students]
    text = (
        "Values within each part of the test clips, its own groups resampled among themselves. "
        f"A part of fewer than {LEAST_GROUPS} {facts.unit} has values and no interval: the bootstrap of so few is far "
        "too narrow. Parts are small; a difference between them is a question, not a finding."
    )
    return Section(ANCHOR, TITLE, join([paragraph(text), _picture(facts, drawn), _table(facts)]))


def _table(facts: Facts) -> Markup:
    metric = facts.metric
    lines: list[list[Cell]] = []
    for stratum in facts.strata:
        for method in facts.students:
            if method in CONTROLS or method not in stratum.values:
                continue
            lines.append(
                [_named(stratum), stratum.attribute, *_counts(stratum), named(method), *_cells(stratum, method, metric)]
            )
    columns = ["who", "by", facts.unit, "clips", "method", headed(metric), "interval", f"vs {BASELINE_WORDS}"]
    return table(columns, lines, caption=f"{metric.name} by {_attributes(facts.strata)}, on test clips")


def _counts(stratum: Stratum) -> list[Cell]:
    return [Number(f"{stratum.groups:,}", stratum.groups), Number(f"{stratum.clips:,}", stratum.clips)]


def _cells(stratum: Stratum, method: str, metric: Metric[Any]) -> list[Cell]:
    value, difference = stratum.values[method], stratum.differences.get(method)
    own: list[Cell] = [Number("-", nan), Number("", nan)]
    if value is not None:
        text = format_interval(value.low, value.high, metric)
        own = [Number(format_number(value.value, metric), value.value), Number(text, value.low)]
    if difference is None:
        return [*own, Number("-", nan)]
    return [*own, difference_cell(difference.value, difference.low, difference.high, metric)]


def _picture(facts: Facts, methods: Sequence[str]) -> Markup:
    metric, rows = facts.metric, len(facts.strata)
    drawing, (axes,) = panels(width=6.2, height=1.0 + 0.42 * rows)
    for number, method in enumerate(methods):
        offset = 0.16 * (2 * number - len(methods) + 1)
        look: dict[str, Any] = {"color": SERIES[number], "marker": MARKERS[number]}
        known = [(place + offset, stratum.values.get(method)) for place, stratum in enumerate(facts.strata)]
        points = [(place, value) for place, value in known if value is not None]
        for place, value in points:
            if not isnan(value.low):
                axes.hlines(place, scaled(value.low, metric), scaled(value.high, metric), color=SERIES[number], lw=1.6)
        label = BASELINE_WORDS if method == BASELINE else method
        values = [scaled(value.value, metric) for _, value in points]
        axes.plot(values, [place for place, _ in points], linestyle="none", markersize=5.5, label=label, **look)
    axes.set_yticks(range(rows), [f"{_named(stratum)} ({stratum.groups})" for stratum in facts.strata])
    axes.set_ylim(rows - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel(f"{unit(metric)}; {facts.unit} in parentheses")
    drawing.legend(loc="outside upper left", ncols=3, fontsize=8)
    spoken = "; ".join(f"{_named(stratum)}: {_spoken(stratum, methods, metric)}" for stratum in facts.strata)
    return figure(svg(drawing, title=f"{metric.name} by {_attributes(facts.strata)}", description=f"{spoken}."))


def _spoken(stratum: Stratum, methods: Sequence[str], metric: Metric[Any]) -> str:
    return ", ".join(
        f"{method} {_text(stratum.values[method], metric)}" for method in methods if stratum.values.get(method)
    )


def _text(value: Estimate | None, metric: Metric[Any]) -> str:
    if value is None:
        return "-"
    return f"{format_number(value.value, metric)} {format_interval(value.low, value.high, metric)}".rstrip()


def _named(stratum: Stratum) -> str:
    return f"age {stratum.name}" if stratum.attribute == "age" else stratum.name


def _attributes(strata: Sequence[Stratum]) -> str:
    return " and ".join(dict.fromkeys(stratum.attribute for stratum in strata))
