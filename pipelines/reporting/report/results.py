"""The table of results, a picture of it, every other metric, and the comparison with the controls."""

from collections.abc import Mapping, Sequence
from math import copysign, isnan, nan
from typing import Any

from markupsafe import Markup

from pipelines.metrics import METRICS, Metric, better_side
from pipelines.reporting.comparison import MATCHED, SELF
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.figures import PAPER, SERIES, panels, svg
from pipelines.reporting.report.html import Cell, Number, details, figure, heading, join, paragraph, table
from pipelines.reporting.report.section import Section
from pipelines.reporting.report.words import (
    difference_cell,
    difference_text,
    headed,
    named,
    number,
    p_text,
    scaled,
    unit,
    value_cell,
)
from pipelines.reporting.table import BASELINE, BASELINE_WORDS, HEADLINE, ResultRow, format_interval, format_number

ANCHOR, TITLE = "results", "Every method"
ABSENT = "No method was evaluated: `mtpkd evaluate` tests the students."


def section(facts: Facts) -> Section | None:
    """Teachers and students by the headline metric, then by the others."""
    rows = facts.rows[facts.metric.name]
    if not rows:
        return None
    intro = paragraph(
        f"A teacher has seen signals that the student never gets; what a student adds is its difference to "
        f"{BASELINE_WORDS}, on the same test clips. Where the interval of that difference spares zero, other test "
        f"{facts.unit} would hardly change its sign; it says nothing about other training {facts.unit} or seeds."
    )
    others = [metric for metric in METRICS.values() if metric.name in facts.rows and metric.name != facts.metric.name]
    return Section(
        ANCHOR,
        TITLE,
        join(
            [
                intro,
                _picture(facts, rows),
                _table(facts, facts.metric),
                *_notes(facts),
                *(details(f"By {metric.name}", _table(facts, metric)) for metric in others),
                *_controls(facts),
            ]
        ),
    )


def _table(facts: Facts, metric: Metric[Any]) -> Markup:
    rows = facts.rows[metric.name]
    by_label = [
        {(row.role, row.method): row.value for row in facts.rows[f"{metric.name}-{label}"]} for label in facts.labels
    ]
    interval = f"{100 * facts.recipe.evaluation.confidence:g} % interval"
    columns = ["method", "role", *facts.labels, _mean(facts, metric), interval, f"vs {BASELINE_WORDS}"]
    # A method that could not predict every clip is known by their number; where all could, it stands above.
    differ = len({row.clips for row in rows}) > 1
    lines: list[list[Cell]] = [
        [
            Markup("<strong>{}</strong>").format(row.method) if row.method == HEADLINE else _name(row),
            row.role,
            *(value_cell(known.get((row.role, row.method), nan), metric) for known in by_label),
            value_cell(row.value, metric),
            Number(format_interval(row.low, row.high, metric), row.low),
            difference_cell(row.difference, row.difference_low, row.difference_high, metric),
            *([Number(f"{row.clips:,}", row.clips)] if differ else []),
        ]
        for row in rows
    ]
    direction = "more is better" if metric.higher_is_better else "less is better"
    columns += ["clips"] if differ else []
    return table(columns, lines, caption=f"{metric.name} of every teacher and student on test clips; {direction}")


def _name(row: ResultRow) -> str:
    return named(row.method) if row.is_baseline else row.method


def _mean(facts: Facts, metric: Metric[Any]) -> str:
    return f"mean {headed(metric)}" if facts.labels else headed(metric)


def _notes(facts: Facts) -> list[Markup]:
    return [paragraph(note, kind="note") for note in facts.results.get("notes", ())]


def _picture(facts: Facts, rows: Sequence[ResultRow]) -> Markup:
    """Values and differences of all methods as points with whiskers, teachers above students."""
    metric = facts.metric
    drawing, (left, right) = panels(1, 2, width=7.0, height=1.1 + 0.24 * len(rows), sharey=True)
    reach = _reach(rows, metric)
    for place, row in enumerate(rows):
        colour, marker = (SERIES[1], "s") if row.role == "teacher" else (SERIES[0], "o")
        _whisker(left, place, (row.value, row.low, row.high), metric, (colour, marker), hollow=False)
        spares = better_side(row.difference_low, row.difference_high, higher_is_better=True) != 0
        if abs(scaled(row.difference, metric)) <= reach:
            ends = row.difference, row.difference_low, row.difference_high
            _whisker(right, place, ends, metric, (colour, marker), hollow=not spares)
        elif not isnan(row.difference):
            end = copysign(reach, row.difference)
            right.plot(end, place, linestyle="none", marker=">" if end > 0 else "<", color=colour, markersize=6)
    right.set_xlim(-1.05 * reach, 1.05 * reach)
    right.axvline(0, color="black", linewidth=0.8)
    left.set_yticks(range(len(rows)), [_name(row) for row in rows])
    left.set_ylim(len(rows) - 0.5, -0.5)
    for axes, title in (
        (left, unit(metric)),
        (right, f"minus {BASELINE_WORDS}{' (points)' if metric.percent else ''}"),
    ):
        axes.set_title(title)
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    spoken = "; ".join(
        f"{row.role} {row.method} {format_number(row.value, metric)} {format_interval(row.low, row.high, metric)}"
        + ("" if row.is_baseline else f", difference {_difference(row, metric)}")
        for row in rows
    )
    return figure(
        svg(drawing, title=f"{metric.name} of every method with its interval", description=spoken),
        "Squares: teachers; circles: students. On the right a hollow marker has an interval that includes zero, and an "
        "arrow head stands for what lies beyond the scale of the students.",
    )


def _reach(rows: Sequence[ResultRow], metric: Metric[Any]) -> float:
    """How far differences are drawn: as far as those of the students, where the question is."""
    for part in ([row for row in rows if row.role == "student"], rows):
        ends = [abs(end) for row in part for end in (row.difference_low, row.difference, row.difference_high)]
        reach = max((scaled(end, metric) for end in ends if not isnan(end)), default=0.0)
        if reach > 0:
            return 1.1 * reach
    return 1.0


def _difference(row: ResultRow, metric: Metric[Any]) -> str:
    return difference_text(row.difference, row.difference_low, row.difference_high, metric)


def _whisker(
    axes: Any, place: int, ends: tuple[float, float, float], metric: Metric[Any], look: tuple[str, str], *, hollow: bool
) -> None:
    value, low, high = (scaled(end, metric) for end in ends)
    colour, marker = look
    if not isnan(low):
        axes.hlines(place, low, high, color=colour, linewidth=1.6)
    axes.plot(
        value, place, linestyle="none", marker=marker, markersize=5.5, color=colour,
        markerfacecolor=PAPER if hollow else colour,
    )  # fmt: skip


def _controls(facts: Facts) -> list[Markup]:
    """What `mtpkd compare` found: against the controls, over folds, and who is worse off."""
    compared = (facts.comparison or {}).get("metrics", {}).get(facts.metric.name)
    if compared is None:
        text = "The test over folds and the controls appear once mtpkd compare has run with these methods and settings."
        return [heading("Against the controls"), paragraph(text, kind="absent")]
    references = {BASELINE: BASELINE_WORDS, MATCHED: MATCHED, SELF: SELF}
    there = [name for name in references if any(name in item["against"] for item in compared["comparisons"])]
    lines = [_control_row(item, there, facts) for item in compared["comparisons"]]
    columns = ["method", *(f"vs {references[name]}" for name in there), "p", "effect g", "worse for", "verdict"]
    text = (
        f"What a control shares is not what the privileged signals are worth: {MATCHED} has the student's architecture "
        f"and nothing distilled, {SELF} is taught by {BASELINE_WORDS}. p: corrected t-test over folds against "
        f"{BASELINE_WORDS} (Nadeau and Bengio 2003), adjusted for the number of methods (Holm 1979); g: Hedges."
    )
    caption = f"paired differences in {facts.metric.name}, of comparison.json"
    return [heading("Against the controls"), paragraph(text), table(columns, lines, caption=caption)]


def _control_row(item: Mapping[str, Any], references: Sequence[str], facts: Facts) -> list[Cell]:
    cells: list[Cell] = []
    for name in references:
        known = item["against"].get(name, {})
        value, low, high = (number(known, key) for key in ("value", "low", "high"))
        cells.append(difference_cell(value, low, high, facts.metric))
    p, effect, negative = number(item, "p"), number(item["effect"], "value"), item["negative"]
    worse = f"{len(negative['losses'])} of {negative['groups']}"
    return [
        item["method"],
        *cells,
        Number(p_text(p), p),
        Number("-" if isnan(effect) else f"{effect:.2f}", effect),
        Number(worse, len(negative["losses"])),
        item["verdict"]["kind"],
    ]
