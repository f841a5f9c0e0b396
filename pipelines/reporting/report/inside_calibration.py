"""Whether confidence can be trusted: a reliability diagram of classes, coverage against level of continuous values.

Decisions. Numbers are those of results.json. The diagram is drawn from the predictions of all folds and seeds, in the
bins of the calibration error; those of before are the same predictions with the temperature of their cell undone. The
area of a mark is the share of the clips that it stands for, because a bin of few clips lies off the line by chance.
"""

from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from pipelines.cache.predictions import read_predictions
from pipelines.metrics import ExpectedCalibrationError, Predictions, tempered
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.figures import GRID, LINES, MARKERS, MUTED, PAPER, SERIES, panels, svg
from pipelines.reporting.report.html import Cell, Number, figure, join, paragraph, table
from pipelines.reporting.report.inside_words import decimals, share
from pipelines.reporting.report.section import Section
from pipelines.reporting.report.words import named, number, shown_first
from pipelines.reporting.table import BASELINE
from pipelines.workspace import read_sidecar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ANCHOR, TITLE = "calibration", "Can confidence be trusted"
ABSENT = "Calibration is reported once mtpkd distill and mtpkd evaluate have run again: earlier students have none."
Worth = Mapping[str, Mapping[str, Any]]
"""Student -> what `reporting.calibration` found."""


def section(facts: Facts) -> Section | None:
    """Before and after temperature scaling for classes; intervals for continuous values."""
    worth: Worth = facts.results.get("calibration") or {}
    if not worth:
        return None
    parts = _of_values(facts, worth) if facts.labels else _of_classes(facts, worth)
    return Section(ANCHOR, TITLE, join(parts))


def _shown(facts: Facts, worth: Worth) -> list[str]:
    """Visual only, and the method that the page is about."""
    return [
        method for method in dict.fromkeys((BASELINE, shown_first(facts))) if method is not None and method in worth
    ]


def _of_classes(facts: Facts, worth: Worth) -> list[Markup]:
    shown = _shown(facts, worth)
    text = (
        "Of all clips that a student calls with a confidence of 80 %, 80 % should be right: marks should lie on the "
        "diagonal. Below it the student is too sure, above it too modest. One temperature a fold, fitted on validation "
        f"{facts.unit}, softens or sharpens its probabilities; it changes no decision. The larger a mark, the more "
        "clips it stands for. The calibration error (ECE) is the mean distance from the diagonal; with few clips it is "
        "never zero, so compare it between students."
    )
    return [paragraph(text), _reliability(facts, shown, worth) if shown else Markup(""), _class_table(facts, worth)]


def reliability(facts: Facts, method: str) -> dict[str, np.ndarray]:
    """`before` and `after` -> (3, bins) of the bins that hold a clip: their shares of all, confidence, accuracy."""
    parts: dict[str, list[Predictions]] = {"before": [], "after": []}
    for _, path in sorted(facts.predictions[method].items()):
        said = read_predictions(path, facts.task)
        details = (read_sidecar(path) or {}).get("details", {})
        temperature = details.get("calibration", {}).get("temperature") or 1.0
        parts["after"].append(said)
        undone = tempered(said.scores, 1 / temperature)
        parts["before"].append(Predictions(said.groups, said.clips, said.target, undone))
    return {when: _binned(some) for when, some in parts.items()}


def _binned(parts: Sequence[Predictions]) -> np.ndarray:
    # Seeds predict the same clips: sums can be added up, predictions cannot be told apart.
    each = [ExpectedCalibrationError().accumulate(part) for part in parts]
    counts, confidence, hits = (
        np.sum([getattr(one, name).sum(axis=0) for one in each], axis=0) for name in ("counts", "confidence", "hits")
    )
    there = counts > 0
    return np.stack([counts[there] / counts.sum(), confidence[there] / counts[there], hits[there] / counts[there]])


def _reliability(facts: Facts, shown: Sequence[str], worth: Worth) -> Markup:
    drawing, axes = panels(1, len(shown), width=3.5 * len(shown), height=3.5, sharex=True, sharey=True)
    told = []
    for panel, method in zip(axes, shown, strict=True):
        bins = reliability(facts, method)
        panel.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
        for place, when in enumerate(("before", "after")):
            _draw_bins(panel, bins[when], place, f"{when} (ECE {number(worth[method], _KEYS[when]):.3f})")
        panel.set_title(named(method))
        panel.set_xlabel("confidence")
        panel.set_xlim(1 / facts.task.num_outputs - 0.03, 1.02)
        panel.set_ylim(-0.03, 1.03)
        panel.grid(color=GRID)
        panel.legend(loc="lower right", fontsize=8, markerscale=0.8)
        pairs = "; ".join(f"confidence {c:.2f}, right {100 * a:.0f} %" for _, c, a in bins["after"].T)
        told.append(f"{named(method)}, after temperature: {pairs}")
    axes[0].set_ylabel("share that is right")
    return figure(svg(drawing, title="Reliability diagram on test clips", description=f"{'. '.join(told)}."))


_KEYS = {"before": "ece_untempered", "after": "ece"}


def _draw_bins(axes: "Axes", bins: np.ndarray, place: int, label: str) -> None:
    shares, confidence, accuracy = bins
    colour, marker = SERIES[1 - place], MARKERS[1 - place]
    axes.plot(confidence, accuracy, color=colour, linewidth=1.2, linestyle=LINES[1 - place])
    axes.scatter(
        confidence,
        accuracy,
        s=12 + 200 * shares,
        marker=marker,
        color=PAPER if place == 0 else colour,
        edgecolors=colour,
        linewidths=1.1,
        zorder=3,
        label=label,
    )


def _class_table(facts: Facts, worth: Worth) -> Markup:
    lines: list[Sequence[Cell]] = []
    for method, known in worth.items():
        temperatures = [float(value) for value in known["temperature"]]
        before, after = (number(known, _KEYS[when]) for when in ("before", "after"))
        spread = f"{min(temperatures):.2f} to {max(temperatures):.2f}"
        mean = Number(spread if len(temperatures) > 1 else f"{temperatures[0]:.2f}", float(np.mean(temperatures)))
        lines.append([named(method), Number(f"{before:.3f}", before), Number(f"{after:.3f}", after), mean])
    caption = f"Expected calibration error on test {facts.unit}, of results.json; a temperature above 1 softens"
    return table(["student", "ECE before", "ECE after", "temperature"], lines, caption=caption)


def _of_values(facts: Facts, worth: Worth) -> list[Markup]:
    drawn = [method for method in _shown(facts, worth) if worth[method]["curve"]["levels"]]
    text = (
        "An interval is a prediction and a half-width that was chosen on validation "
        f"{facts.unit} so that it should cover a new {facts.unit[:-1]}'s true value with the promised level (split "
        "conformal prediction over groups). The line should lie on the diagonal or above it; below, intervals cover "
        f"less than they promise. Coverage is a mean over {facts.unit}, each weighing the same, so with few of them it "
        "may stray by chance."
    )
    return [paragraph(text), _curves(facts, drawn, worth) if drawn else Markup(""), _value_table(facts, worth)]


def _curves(facts: Facts, drawn: Sequence[str], worth: Worth) -> Markup:
    drawing, (axes,) = panels(width=4.6, height=3.6)
    lowest, told = 0.5, []
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, label="as promised")
    for place, method in enumerate(drawn):
        known, curve = worth[method], worth[method]["curve"]
        style = {"color": SERIES[place], "linestyle": LINES[place], "marker": MARKERS[place]}
        spacing = max(1, len(curve["levels"]) // 8)
        axes.plot(
            curve["levels"],
            curve["coverage"],
            linewidth=1.5,
            markersize=4.5,
            markevery=spacing,
            label=named(method),
            **style,
        )
        low, high = (nan if end is None else end for end in known["coverage_interval"])
        if not isnan(low):
            axes.vlines(known["level"], low, high, color=SERIES[place], linewidth=1.4)
        lowest = min([lowest, *curve["coverage"]])
        told.append(f"{named(method)}: {_covered(known)}")
    axes.set_xlim(0.48, 1.0)
    axes.set_ylim(lowest - 0.03, 1.02)
    axes.set_xlabel("promised level")
    axes.set_ylabel(f"covered on test {facts.unit}")
    axes.grid(color=GRID)
    axes.legend(fontsize=8, loc="lower right")
    return figure(svg(drawing, title="Coverage of intervals against their level", description=f"{'. '.join(told)}."))


def _covered(known: Mapping[str, Any]) -> str:
    low, high = (share(number({"end": end}, "end")) for end in known["coverage_interval"])
    between = "" if low == "-" else f" [{low}, {high}]"
    return f"intervals of {share(number(known, 'level'))} % cover {share(number(known, 'coverage'))}{between} %"


def _value_table(facts: Facts, worth: Worth) -> Markup:
    lines: list[Sequence[Cell]] = []
    for method, known in worth.items():
        low, high = (share(number({"end": end}, "end")) for end in known["coverage_interval"])
        level, coverage = number(known, "level"), number(known, "coverage")
        widths = [number({"width": width}, "width") for width in known["half_width"]]
        covered = share(coverage) + ("" if low == "-" else f" [{low}, {high}]")
        cells = [Number(share(level), level), Number(covered, coverage)]
        lines.append([named(method), *cells, *(Number(decimals(width), width) for width in widths)])
    fewest = min(min(known["calibration_groups"]) for known in worth.values())
    caption = (
        f"Intervals on test {facts.unit}, of results.json; fitted on {fewest} validation {facts.unit} or more, which "
        f"can promise at most {100 * fewest / (fewest + 1):.0f} %"
    )
    columns = ["student", "level %", "covered %", *(f"half-width, {label}" for label in facts.labels)]
    return table(columns, lines, caption=caption)
