"""Continuous labels: predictions against targets, and one trial over time.

Decisions. Files of frames may be larger than memory and are read a trial at a time; every frame is counted, none is
drawn. The trial that is shown is the one with the median error of the method, so that neither luck nor an accident is
put on display. Only the first seed is shown, and its name stands beside the picture.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from pipelines.cache.predictions import FramePredictions, holds_frames, read_frame_predictions, read_predictions
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.figures import LINES, MUTED, SEQUENTIAL, SERIES, panels, svg
from pipelines.reporting.report.html import figure, heading, join, paragraph
from pipelines.reporting.report.words import counted, named, shown_first
from pipelines.reporting.table import BASELINE

_BINS = 40
_POINTS = 500
"""Most points of a line over time."""


@dataclass(frozen=True)
class Density:
    """How often a target met a prediction.

    Attributes:
        counts: (K, bins, bins) for K dimensions, targets along the first axis of bins.
        low, high: ends of the bins, the same for targets and predictions.
        number: pairs counted.
    """

    counts: np.ndarray
    low: float
    high: float
    number: int

    @classmethod
    def of(cls, parts: Iterable[tuple[np.ndarray, np.ndarray]], dimensions: int, low: float, high: float) -> "Density":
        """Count (n, K) targets and predictions, part by part; what lies outside is counted at the edge."""
        edges = np.linspace(low, high, _BINS + 1)
        counts, number = np.zeros((dimensions, _BINS, _BINS), dtype=np.int64), 0
        for target, scores in parts:
            number += len(target)
            for k in range(dimensions):
                pair = (np.clip(values[:, k], low, high) for values in (target, scores))
                counts[k] += np.histogram2d(*pair, bins=(edges, edges))[0].astype(np.int64)
        return cls(counts, low, high, number)


def predictions_against_targets(facts: Facts) -> Markup | None:
    """Densities of visual only and the student the page is about, and a trial of both; None without predictions."""
    seed = facts.recipe.protocol.seeds[0]
    files = {
        name: [path for (_, of), path in sorted(facts.predictions[name].items()) if of == seed]
        for name in dict.fromkeys((BASELINE, shown_first(facts) or BASELINE))
        if name in facts.predictions
    }
    if not any(files.values()):
        return None
    frames = holds_frames(next(path for paths in files.values() for path in paths))
    low, high = (-1.0, 1.0) if frames else _range(files, facts)
    densities = {
        name: Density.of(_pairs(paths, facts, frames=frames), facts.task.num_outputs, low, high)
        for name, paths in files.items()
    }
    what = "annotated test frame" if frames else "test clip"
    text = (
        f"Each picture counts {counted(max(one.number for one in densities.values()), what)} of seed {seed}: "
        "the closer to the dashed diagonal, the better. A flat cloud predicts the mean of what it learnt, a tilted one "
        "has the right direction and too small a range."
    )
    parts = [paragraph(text), _density_picture(densities, facts, what)]
    return join([*parts, *(_timeline(files, facts) if frames else [])])


def _pairs(paths: Iterable[Path], facts: Facts, *, frames: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(n, K) targets and predictions of one trial or file after the other."""
    for path in paths:
        if frames:
            for trial in read_frame_predictions(path, facts.task):
                yield trial.target[trial.annotated], trial.scores[trial.annotated]
        else:
            whole = read_predictions(path, facts.task)
            yield whole.target, whole.scores


def _range(files: Mapping[str, Iterable[Path]], facts: Facts) -> tuple[float, float]:
    """Smallest and largest value of any target or prediction of whole clips."""
    values = [v for paths in files.values() for pair in _pairs(paths, facts, frames=False) for v in pair if v.size]
    low, high = min((float(v.min()) for v in values), default=0), max((float(v.max()) for v in values), default=1)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _density_picture(densities: Mapping[str, Density], facts: Facts, what: str) -> Markup:
    """A row a dimension, a column a method; shades are logarithmic."""
    from matplotlib.colors import LogNorm

    labels = facts.labels
    rows, columns = len(labels), len(densities)
    drawing, grid = panels(rows, columns, width=2.9 * columns + 0.6, height=2.5 * rows + 0.3, sharex=True, sharey=True)
    most = max(1, *(int(one.counts.max()) for one in densities.values()))
    image: Any = None
    for place, axes in enumerate(grid):
        k, name = place // columns, list(densities)[place % columns]
        known = densities[name]
        counts = np.ma.masked_equal(known.counts[k].T, 0)
        ends = (known.low, known.high)
        image = axes.imshow(
            counts, origin="lower", extent=(*ends, *ends), cmap=f"{SEQUENTIAL}_r", norm=LogNorm(1, most + 1),
            interpolation="nearest",
        )  # fmt: skip
        axes.set_facecolor("#ffffff")
        axes.plot(ends, ends, color="#101418", linewidth=0.8, linestyle="--")
        axes.set_title(f"{named(name)}, {labels[k]}")
        if k == rows - 1:
            axes.set_xlabel("target")
        if place % columns == 0:
            axes.set_ylabel("prediction")
    drawing.colorbar(image, ax=grid, shrink=0.6, label=f"{what}s in a bin")
    spoken = " ".join(_spoken(name, known, labels) for name, known in densities.items())
    return figure(
        svg(drawing, title=f"Predictions against targets of {facts.task.num_outputs} dimensions", description=spoken)
    )


def _spoken(name: str, known: Density, labels: tuple[str, ...]) -> str:
    """Ranges of target and prediction, read off the bins: centres of the outermost 5 percent."""
    centres = known.low + (np.arange(_BINS) + 0.5) * (known.high - known.low) / _BINS
    parts = []
    for k, label in enumerate(labels):
        sides = {"targets": known.counts[k].sum(axis=1), "predictions": known.counts[k].sum(axis=0)}
        ranges = {side: [_quantile(counts, share, centres) for share in (0.05, 0.95)] for side, counts in sides.items()}
        ends = [f"of {side} from {low} to {high}" for side, (low, high) in ranges.items()]
        parts.append(f"{label}: 90 percent {', '.join(ends)}")
    return f"{named(name)}, {'; '.join(parts)}."


def _quantile(counts: np.ndarray, share: float, centres: np.ndarray) -> str:
    return f"{centres[np.searchsorted(np.cumsum(counts), share * counts.sum())]:.2f}"


def _timeline(files: Mapping[str, Iterable[Path]], facts: Facts) -> list[Markup]:
    """One trial of every method over its frames; nothing where no trial is annotated."""
    method = list(files)[-1]
    chosen = _median_trial(files[method], facts)
    if chosen is None:
        return []
    trials = {name: _find(paths, chosen, facts) for name, paths in files.items()}
    there = {name: trial for name, trial in trials.items() if trial is not None}
    length = max(len(trial.scores) for trial in there.values())
    step = -(-length // _POINTS)
    drawing, grid = panels(
        len(facts.labels), 1, width=7.0, height=0.6 + 1.6 * len(facts.labels), sharex=True, sharey=True
    )
    for k, (axes, label) in enumerate(zip(grid, facts.labels, strict=True)):
        target = there[method].target[::step, k]
        axes.plot(np.arange(len(target)) * step + 1, target, color="black", linewidth=1.8, label="target")
        for number, (name, trial) in enumerate(there.items()):
            values = trial.scores[::step, k]
            line: Any = LINES[number + 1]
            axes.plot(
                np.arange(len(values)) * step + 1,
                values,
                color=SERIES[number],
                linestyle=line,
                lw=1.5,
                label=named(name),
            )
        axes.set_ylabel(label)
        axes.axhline(0, color=MUTED, linewidth=0.5)
        axes.grid(axis="y")
    grid[-1].set_xlabel("frame")
    handles, names = grid[0].get_legend_handles_labels()
    drawing.legend(handles, names, loc="outside upper left", ncols=4, fontsize=8)
    error = {name: _rmse(trial) for name, trial in there.items()}
    spoken = ", ".join(f"root mean squared error of {named(name)} {value:.3f}" for name, value in error.items())
    note = f"Trial {chosen}: the one with the median error of {method}."
    note += f" One frame in {step} is drawn." if step > 1 else ""
    picture = svg(drawing, title=f"Trial {chosen} over time", description=f"{length} frames; {spoken}.")
    return [heading("One trial over time"), figure(picture, note)]


def _median_trial(paths: Iterable[Path], facts: Facts) -> str | None:
    """The annotated trial whose error is the median, the lower one of two."""
    errors = sorted(
        (_rmse(trial), trial.clip)
        for path in paths
        for trial in read_frame_predictions(path, facts.task)
        if trial.annotated.any()
    )
    return errors[(len(errors) - 1) // 2][1] if errors else None


def _rmse(trial: FramePredictions) -> float:
    known = trial.annotated
    return float(np.sqrt(np.mean((trial.scores[known] - trial.target[known]) ** 2)))


def _find(paths: Iterable[Path], clip: str, facts: Facts) -> FramePredictions | None:
    trials = (trial for path in paths for trial in read_frame_predictions(path, facts.task))
    return next((trial for trial in trials if trial.clip == clip), None)
