"""What is mistaken for what: confusion matrices of classes, predictions against targets of continuous labels."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from markupsafe import Markup

from pipelines.reporting.report import continuous
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.figures import panels, svg
from pipelines.reporting.report.html import Cell, Number, details, figure, join, paragraph, table
from pipelines.reporting.report.section import Section
from pipelines.reporting.report.words import named, shown_first
from pipelines.reporting.results import TEACHER
from pipelines.reporting.table import BASELINE

ANCHOR, TITLE = "errors", "What is mistaken for what"
ABSENT = "No predictions are there: `mtpkd evaluate` writes them."
_SHOWN = 6
"""Most classes whose counts fit into the picture."""
SHADES = "Blues"
_DARK = 0.69
"""From this share of a row on, the shade is dark enough for white letters."""


def section(facts: Facts) -> Section | None:
    """Confusion matrices, or predictions against targets and one trial over time."""
    if facts.labels:
        html = continuous.predictions_against_targets(facts)
        return None if html is None else Section(ANCHOR, "Predictions against targets", html)
    confusion = {name: np.array(counts) for name, counts in facts.results.get("confusion", {}).items()}
    if not confusion:
        return None
    wanted = [BASELINE, shown_first(facts), f"{TEACHER}joint"]
    drawn = [name for name in dict.fromkeys(wanted) if name in confusion]
    seeds = len(facts.recipe.protocol.seeds)
    text = (
        "Each row is a true class, each column what was predicted; shades are shares of a row. "
        f"Counts are test clips{f', each counted once for every one of the {seeds} seeds' if seeds > 1 else ''}."
    )
    tables = [_table(name, counts, facts) for name, counts in confusion.items()]
    counts = details("Counts of every method and teacher", *tables)
    return Section(ANCHOR, TITLE, join([paragraph(text), _picture(drawn, confusion, facts), counts]))


def _picture(names: Sequence[str], confusion: dict[str, np.ndarray], facts: Facts) -> Markup:
    """Matrices side by side, with shares and counts where they fit."""
    labels = facts.task.labels
    crowded = len(labels) > _SHOWN
    columns = min(len(names), 2 if crowded else 3)
    rows = ceil(len(names) / columns)
    drawing, grid = panels(
        rows, columns, width=2.3 * columns + (2.0 if crowded else 0), height=(3.6 if crowded else 2.8) * rows
    )
    for axes in grid[len(names) :]:
        axes.remove()
    for place, (axes, name) in enumerate(zip(grid, names, strict=False)):
        counts = confusion[name]
        shares = _shares(counts)
        axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1)
        if not crowded:
            for row, column in np.ndindex(counts.shape):
                text = f"{100 * shares[row, column]:.0f} %\n{counts[row, column]}"
                axes.text(
                    column, row, text, ha="center", va="center", color=ink(float(shares[row, column])), fontsize=8
                )
        axes.set_title(named(name))
        axes.set_xticks(range(len(labels)), labels, rotation=60 if crowded else 0, ha="right" if crowded else "center")
        axes.set_yticks(range(len(labels)), labels if place % columns == 0 else [])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("predicted")
    for axes in grid[: len(names) : columns]:
        axes.set_ylabel("true")
    spoken = " ".join(f"{named(name)}: {_spoken(confusion[name], labels)}." for name in names)
    return figure(svg(drawing, title="Confusion matrices", description=spoken))


def ink(share: float) -> str:
    """Letters on a shade: fixed, because the shade below them does not change with the page's colours."""
    return "#ffffff" if share > _DARK else "#101418"


def _shares(counts: np.ndarray) -> np.ndarray:
    """(C, C) share of each true class; 0 where a class has no clip."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _spoken(counts: np.ndarray, labels: Sequence[str]) -> str:
    """How much of each class is right."""
    return ", ".join(
        f"{label} right in {row[k]} of {row.sum()}" for k, (label, row) in enumerate(zip(labels, counts, strict=True))
    )


def _table(name: str, counts: np.ndarray, facts: Facts) -> Markup:
    lines: list[list[Cell]] = [
        [label, *(Number(str(count), count) for count in row.tolist())]
        for label, row in zip(facts.task.labels, counts, strict=True)
    ]
    caption = f"test clips of {named(name)}: a row a true class, a column a predicted one; of results.json"
    return table(["true", *facts.task.labels], lines, caption=caption)
