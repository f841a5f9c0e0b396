"""The teachers' embeddings of validation clips before and after alignment, in two common dimensions.

Decisions. Embeddings are brought to unit length, because it is their cosines that alignment works on and that the
student's structure is compared by. All teachers of a row share the axes of one PCA, so that what is near in one panel
is near in all; each row has its own, because alignment moves everything elsewhere, and closer together. PCA rather than
t-SNE: distances keep their meaning, and nothing is drawn by chance. Clips are of the first cell's validation groups,
which moved no weight of the alignment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from pipelines.cache.embeddings import EmbeddingStore, read_embeddings
from pipelines.recipe import JOINT
from pipelines.reporting.report.facts import CellFiles, Facts
from pipelines.reporting.report.figures import GRID, MARKERS, MUTED, SERIES, panels, svg
from pipelines.reporting.report.html import Cell, Number, figure, join, paragraph, table
from pipelines.reporting.report.inside_words import decimals, joined, seen_at_once
from pipelines.reporting.report.section import Section
from pipelines.training.samples import Sample, make_samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

ANCHOR, TITLE = "embeddings", "Teachers before and after alignment"
ABSENT = "Embeddings are there once mtpkd align has run."
_CLIPS = 120
"""Most clips in a panel."""
_TEACHERS = 6
"""Most teachers side by side; the table has all."""
_MIDDLE: Any = {"ha": "center", "va": "center"}


@dataclass(frozen=True)
class Cloud:
    """Where one teacher's embeddings of some clips lie: rows (P,) into those clips, points (P, 2)."""

    rows: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Projection:
    """Clouds of several teachers in common axes; `variance` is the share that both axes explain."""

    clouds: Mapping[str, Cloud]
    variance: float


def section(facts: Facts) -> Section | None:
    """The first fold and seed drawn; distances averaged over all."""
    cell = next((cell for cell in facts.cells if cell.aligned.exists() and cell.embeddings.exists()), None)
    if cell is None:
        return None
    samples = chosen_samples(facts, cell)
    before = project(read_embeddings(cell.embeddings), _alone(facts), samples)
    after = project(read_embeddings(cell.aligned), {name: name for name in _teachers(facts)}, samples)
    if after is None:
        return None
    parts = [paragraph(text) for text in _how_to_read(facts, cell, len(samples))]
    parts += [_picture(facts, samples, before, after), _gaps(facts)]
    return Section(ANCHOR, TITLE, join(parts))


def chosen_samples(facts: Facts, cell: CellFiles) -> list[Sample]:
    """Some samples of the cell's validation groups, always the same ones, in the order of the table."""
    groups = set(cell.split.validation)
    rows = [row for row in facts.clips if row.group in groups]
    samples = make_samples(rows, facts.workspace, facts.recipe.windows)
    drawn = np.random.default_rng(0).permutation(len(samples))[:_CLIPS]
    return [samples[place] for place in sorted(drawn.tolist())]


def _teachers(facts: Facts) -> list[str]:
    """Those that are drawn, the joint one last."""
    return sorted(facts.recipe.teacher_subsets, key=lambda name: name == JOINT)[-_TEACHERS:]


def _alone(facts: Facts) -> dict[str, str]:
    """Teachers of one modality -> its column: before alignment only these have an embedding of their own on disk."""
    subsets = facts.recipe.teacher_subsets
    return {name: subsets[name][0] for name in _teachers(facts) if len(subsets[name]) == 1}


def project(store: EmbeddingStore, columns: Mapping[str, str], samples: Sequence[Sample]) -> Projection | None:
    """The embeddings of {teacher: column} in the plane of their common principal components; None for too few."""
    from sklearn.decomposition import PCA

    taken = {name: _unit_rows(store, column, samples) for name, column in columns.items() if column in store.columns}
    every = [values for _, values in taken.values()]
    if sum(map(len, every)) < 3:
        return None
    plane = PCA(n_components=2, svd_solver="full").fit(np.concatenate(every))
    clouds = {name: Cloud(rows, plane.transform(values)) for name, (rows, values) in taken.items() if len(rows)}
    return Projection(clouds, float(plane.explained_variance_ratio_.sum()))


def _unit_rows(store: EmbeddingStore, column: str, samples: Sequence[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Which samples a column has, (P,), and their embeddings at the first temporal sampling, (P, D) of unit length."""
    index = {name: row for row, name in enumerate(store.clips)}
    known, taken = store.columns[column], []
    for place, sample in enumerate(samples):
        row = index.get(sample.name)
        if row is not None and known.present[row]:
            taken.append((place, row))
    rows = np.array(taken, dtype=np.int64).reshape(-1, 2)
    values = known.embeddings[rows[:, 1], 0].astype(np.float64)
    return rows[:, 0], values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)


def kinds_of(facts: Facts, samples: Sequence[Sample]) -> tuple[list[str], np.ndarray]:
    """Names of the classes, or of thirds of the first continuous label, and each sample's; -1 without a label."""
    labels = [sample.label for sample in samples]
    if facts.task.kind == "classes":
        return list(facts.task.labels), np.array([-1 if label is None else label for label in labels])
    first = np.array([label[0] if isinstance(label, tuple) else np.nan for label in labels])
    known = ~np.isnan(first)
    limits = np.quantile(first[known], [1 / 3, 2 / 3]) if known.any() else np.zeros(2)
    name = facts.labels[0]
    kinds = np.where(known, np.digitize(first, limits), -1)
    return [f"{name} below {decimals(limits[0])}", "between", f"above {decimals(limits[1])}"], kinds


def _how_to_read(facts: Facts, cell: CellFiles, number: int) -> list[str]:
    gaps = facts.record.alignment_gap
    nearer = [name for name, gap in gaps.items() if gap.after < gap.before]
    others = [name for name in gaps if name not in nearer]
    told = f"Alignment brought {joined(nearer) or 'nobody'} nearer to the joint teacher"
    told += f", not {joined(others)}." if nearer and others else "."
    split = cell.split
    where = f"Drawn for fold {split.fold}, seed {split.seed}: {number} {seen_at_once(facts)} of its validation "
    where += f"{facts.unit}, "
    return [
        "Alignment should move every teacher's embeddings to where the joint teacher has them, so that the student "
        "can learn from whichever speaks. Before, every teacher has a place of its own; after, the panels should look "
        f"alike, and labels lie apart where a teacher can tell them. {told}",
        f"{where}at unit length, in the two principal axes that the panels of a row share. Below each the gap: "
        f"mean 1 - cosine to the joint teacher{', over all folds and seeds' if len(facts.cells) > 1 else ''}.",
    ]


def _picture(facts: Facts, samples: Sequence[Sample], before: Projection | None, after: Projection) -> Markup:
    names, gaps = list(after.clouds), facts.record.alignment_gap
    height = 1.3 + 2 * 6.2 / max(len(names), 3)
    drawing, axes = panels(2, len(names), width=7.0, height=height, sharex="row", sharey="row")
    kinds, members = kinds_of(facts, samples)
    handles: dict[str, Any] = {}
    for number, (when, projected) in enumerate((("before", before), ("after", after))):
        row = axes[number * len(names) : (number + 1) * len(names)]
        for panel, name in zip(row, names, strict=True):
            panel.set_title(f"{name}, {when}", fontsize=8)
            if projected and name in projected.clouds:
                handles |= _scatter(panel, projected.clouds[name], kinds, members)
            else:
                panel.text(
                    0.5, 0.5, "fused anew\nin alignment", color=MUTED, fontsize=8, **_MIDDLE, transform=panel.transAxes
                )
            if name in gaps:
                panel.set_xlabel(f"gap {decimals(getattr(gaps[name], when))}", fontsize=8)
            panel.tick_params(labelleft=False, labelbottom=False, length=0)
            panel.grid(color=GRID)
        if projected:
            row[0].set_ylabel(f"{100 * projected.variance:.0f} % of variance", fontsize=8)
    drawing.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4, fontsize=8, handletextpad=0.2)
    told = "; ".join(
        f"{name}: {decimals(gap.before)} before, {decimals(gap.after)} after" for name, gap in gaps.items()
    )
    description = f"Mean 1 minus cosine to the joint teacher on validation {facts.unit}. {told}."
    return figure(svg(drawing, title="Teachers' embeddings before and after alignment", description=description))


def _scatter(axes: "Axes", cloud: Cloud, kinds: Sequence[str], members: np.ndarray) -> dict[str, "Line2D"]:
    """What stands in the legend for the kinds that are there."""
    drawn = {}
    for number, kind in enumerate((*kinds, "no label")):
        labelled = number < len(kinds)
        those = cloud.points[members[cloud.rows] == (number if labelled else -1)]
        marker, colour = (MARKERS[number % len(MARKERS)], SERIES[number % len(SERIES)]) if labelled else (".", MUTED)
        if len(those):
            style = {"linestyle": "none", "marker": marker, "color": colour, "markersize": 4, "markeredgewidth": 0}
            (drawn[kind],) = axes.plot(those[:, 0], those[:, 1], alpha=0.75, **style)
    return drawn


def _gaps(facts: Facts) -> Markup:
    lines: list[list[Cell]] = [
        [name, Number(decimals(gap.before), gap.before), Number(decimals(gap.after), gap.after)]
        for name, gap in facts.record.alignment_gap.items()
    ]
    cells = len(facts.cells)
    over = f", mean over {cells} folds and seeds" if cells > 1 else ""
    caption = f"Mean 1 - cosine to the joint teacher on validation {facts.unit}{over}, of aligned/embeddings.h5.json"
    return table(["teacher", "before alignment", "after"], lines, caption=caption)
