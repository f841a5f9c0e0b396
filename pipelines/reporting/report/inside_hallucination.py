"""How well the hallucination net guesses privileged embeddings from the prevalent ones, on validation groups."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from markupsafe import Markup

from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.figures import PAPER, SERIES, panels, svg
from pipelines.reporting.report.html import Cell, Number, figure, join, paragraph, table
from pipelines.reporting.report.inside_words import decimals, joined
from pipelines.reporting.report.section import Section
from pipelines.workspace import read_sidecar

ANCHOR, TITLE = "hallucination", "Hallucinated embeddings"
ABSENT = "R\N{SUPERSCRIPT TWO} is recorded when mtpkd train-teachers trains the hallucination net."
_LEAST = -1.0
"""What lies below is cut off, and marked: its number says how far."""
_R2 = "R\N{SUPERSCRIPT TWO}"


def section(facts: Facts) -> Section | None:
    """One bar a privileged modality, and a point a fold and seed."""
    means = facts.record.hallucination
    if not means:
        return None
    cells = {name: _cells(facts, name) for name in means}
    parts = [paragraph(_how_to_read(facts, means)), _picture(means, cells), _numbers(means, cells)]
    return Section(ANCHOR, TITLE, join(parts))


def _cells(facts: Facts, modality: str) -> list[float]:
    """R^2 of a modality in every cell that has one."""
    details: list[Mapping[str, Any]] = [
        (read_sidecar(cell.hallucination) or {}).get("details", {}) for cell in facts.cells
    ]
    found = [known.get("r2_on_validation_subjects", {}).get(modality) for known in details]
    return [float(value) for value in found if value is not None and not isnan(value)]


def _how_to_read(facts: Facts, means: Mapping[str, float]) -> str:
    seen = joined(list(facts.recipe.prevalent))
    text = (
        f"At test time the hallucination net stands in for the privileged embeddings. {_R2} is the share of their "
        f"variance that it guesses from {seen} on validation {facts.unit}: 1 is a perfect guess, 0 no better than "
        "always guessing their mean. "
    )
    poor = [name for name, value in means.items() if value < 0]
    if poor:
        text += (
            f"Below 0, as for {joined(poor)}, it is worse than that mean: what it learned of the training {facts.unit} "
            "does not hold for others. "
        )
    return text + "What it cannot guess does not reach the student this way; distillation may still carry it."


def _picture(means: Mapping[str, float], cells: Mapping[str, Sequence[float]]) -> Markup:
    drawing, (axes,) = panels(width=6.0, height=0.9 + 0.42 * len(means))
    names = list(means)
    axes.barh(range(len(names)), [means[name] for name in names], height=0.55, color=SERIES[0])
    lowest = min([0.0, *means.values(), *(value for values in cells.values() for value in values)])
    left = max(lowest, _LEAST) - 0.05
    for row, name in enumerate(names):
        several = cells[name] if len(cells[name]) > 1 else []
        axes.plot(several, [row] * len(several), "o", color="black", markerfacecolor=PAPER, markersize=4)
        if min([means[name], *several]) < left:
            axes.plot(left + 0.03, row, marker="<", color="black", markeredgecolor=PAPER, markersize=8)
        axes.text(1.0, row, decimals(means[name]), ha="right", va="center")
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.spines["left"].set_visible(False)
    axes.set_xlim(left, 1.0)
    several = any(len(values) > 1 for values in cells.values())
    axes.set_xlabel(_R2 + (", bar: mean, circles: folds and seeds" if several else ""))
    told = "; ".join(f"{name}: {decimals(value)}" + _spread(cells[name]) for name, value in means.items())
    return figure(svg(drawing, title=f"{_R2} of hallucinated embeddings", description=f"{told}."))


def _spread(values: Sequence[float]) -> str:
    return f", {decimals(min(values))} to {decimals(max(values))} over folds and seeds" if len(values) > 1 else ""


def _numbers(means: Mapping[str, float], cells: Mapping[str, Sequence[float]]) -> Markup:
    lines: list[Sequence[Cell]] = [
        [
            name,
            *(Number(decimals(v), v) for v in (mean, min(cells[name], default=mean), max(cells[name], default=mean))),
        ]
        for name, mean in means.items()
    ]
    caption = f"{_R2} on the validation part, of hallucination.safetensors.json"
    return table(["privileged modality", "mean", "least", "most"], lines, caption=caption)
