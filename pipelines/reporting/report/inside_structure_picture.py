"""Similarity matrices and transport plans, drawn: the teacher's beside the student's at moments of its training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from pipelines.cache.structure import StructureRecord
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.figures import GRID, LINES, MARKERS, SEQUENTIAL, SERIES, panels, svg
from pipelines.reporting.report.html import figure
from pipelines.reporting.report.inside_moments import Moment
from pipelines.reporting.report.inside_words import decimals, evenly

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_MOMENTS = 4
"""Most moments of a training side by side."""
_EVEN = 4
"""An even plan has at most this part of the brightest tint."""


def moments_drawn(record: StructureRecord) -> list[int]:
    """Places of the snapshots that are drawn: the untrained student, the kept one, the last, and what lies between."""
    places, kept = evenly(len(record.epochs), _MOMENTS), record.at(record.best)
    if kept not in places:
        places[min(range(1, len(places) - 1), key=lambda i: abs(places[i] - kept))] = kept
    return sorted(places)


def picture(facts: Facts, method: str, record: StructureRecord) -> Markup:
    """One method in one cell; the record has at least one clip."""
    classes, size = not facts.labels, len(record.clips)
    places = moments_drawn(record)
    seen = [Moment.of(record, place, classes=classes) for place in range(len(record.epochs))]
    columns = 1 + len(places)
    drawing, axes = panels(2, columns, width=7.0, height=3.7)
    (teacher, *students), (curve, *plans) = axes[:columns], axes[columns:]
    least = min(float(record.teacher.min()), float(record.student[places].min())) - 1
    # Of an even plan the tint is dark: bright is where mass is gathered.
    most = max(float(record.plans[places].max()) * size, _EVEN / size)
    tint = _matrix(teacher, record.teacher - 1, least, 1.0, "teacher")
    for panel, place in zip(students, places, strict=True):
        _matrix(panel, record.student[place] - 1, least, 1.0, _named(record, place))
        panel.set_xlabel(f"r = {decimals(seen[place].resemblance)}", fontsize=8)
    _scale(tint, [teacher, *students], "cosine")
    for panel, place in zip(plans, places, strict=True):
        tint = _matrix(panel, record.plans[place] * size, 0.0, most, "plan")
        panel.set_xlabel(f"{100 * seen[place].same_clip:.0f} % same clip", fontsize=8)
    _scale(tint, [curve, *plans], "share of a row")
    _blocks(facts, record, [teacher, *students, *plans], labelled=[teacher])
    _shares(curve, record, seen, Moment.by_chance(record, classes=classes))
    title = f"Similarities and transport plan of {method}"
    return figure(svg(drawing, title=title, description=_told(record, seen, classes=classes)))


def _matrix(axes: "Axes", values: np.ndarray, least: float, most: float, name: str) -> "AxesImage":
    axes.set_title(name, fontsize=7.5)
    axes.set_xticks([])
    axes.set_yticks([])
    # As many pixels as clips, magnified by the browser: small, and sharp at any size.
    return axes.imshow(values, vmin=least, vmax=most, cmap=SEQUENTIAL, interpolation="none")


def _scale(tint: "AxesImage", beside: "Sequence[Axes]", name: str) -> None:
    bar = beside[0].figure.colorbar(tint, ax=list(beside), fraction=0.03, pad=0.01, aspect=18)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.ax.tick_params(labelsize=7, length=2)
    bar.set_label(name, fontsize=8)


def _blocks(facts: Facts, record: StructureRecord, every: "Sequence[Axes]", *, labelled: "Sequence[Axes]") -> None:
    """Lines between classes, and their names; of continuous labels the direction in which they grow."""
    first = record.labels[:, 0]
    if facts.labels:
        for axes in labelled:
            axes.set_ylabel(f"{facts.labels[0]} \N{RIGHTWARDS ARROW}", fontsize=8, rotation=-90, labelpad=9)
        return
    # NaN, which no class equals, comes last.
    known = [*np.unique(first[~np.isnan(first)]).tolist(), *([np.nan] if np.isnan(first).any() else [])]
    members = [np.flatnonzero(np.isnan(first) if np.isnan(value) else first == value) for value in known]
    for axes in every:
        for rows in members[:-1]:
            axes.axhline(rows[-1] + 0.5, color="#ffffff", linewidth=0.8)
            axes.axvline(rows[-1] + 0.5, color="#ffffff", linewidth=0.8)
    names = ["no label" if np.isnan(value) else facts.task.labels[int(value)] for value in known]
    for axes in labelled:
        axes.set_yticks([float(rows.mean()) for rows in members], names, fontsize=7)
        axes.tick_params(axis="y", length=0)


def _shares(axes: "Axes", record: StructureRecord, seen: Sequence[Moment], chance: Moment) -> None:
    """Where the plan's mass goes over the epochs; dotted: by chance."""
    places = range(len(record.epochs))
    for number, (name, label) in enumerate((("same_clip", "same clip"), ("same_class", "same class"))):
        shares = [100 * getattr(moment, name) for moment in seen]
        if np.isnan(shares).all():
            continue
        style = {"color": SERIES[number], "marker": MARKERS[number], "linestyle": LINES[number]}
        axes.plot(places, shares, linewidth=1.4, markersize=3.5, label=label, **style)
        axes.axhline(100 * getattr(chance, name), color=SERIES[number], linestyle=":", linewidth=1)
    axes.set_xticks(list(places), [str(epochs) for epochs in record.epochs], fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_ylim(0, 100)
    axes.set_title("% of the plan", fontsize=8)
    axes.set_xlabel("epochs", fontsize=8)
    axes.grid(axis="y", color=GRID)
    axes.legend(fontsize=7, handlelength=1.4, borderaxespad=0.1)


def _named(record: StructureRecord, place: int) -> str:
    epochs = record.epochs[place]
    name = "untrained" if epochs == 0 else f"{epochs} epoch{'s' if epochs > 1 else ''}"
    return f"{name}, kept" if epochs == record.best else name


def _told(record: StructureRecord, seen: Sequence[Moment], *, classes: bool) -> str:
    moments = []
    for place, moment in enumerate(seen):
        text = f"{_named(record, place)}: r {decimals(moment.resemblance)}, {100 * moment.same_clip:.1f} % same clip"
        moments.append(text + (f", {100 * moment.same_class:.1f} % same class" if classes else ""))
    chance = Moment.by_chance(record, classes=classes)
    by_chance = f"By chance {100 * chance.same_clip:.1f} % same clip"
    by_chance += f", {100 * chance.same_class:.1f} % same class" if classes else ""
    return (
        f"Resemblance r of the student's similarities of {len(record.clips)} clips to the teacher's, and the share of "
        f"the transport plan that pairs a row with the same clip's. {'; '.join(moments)}. {by_chance}."
    )
