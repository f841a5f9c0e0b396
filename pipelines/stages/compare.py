"""Comparing methods: methods x folds x seeds on identical splits, and what the numbers allow to say.

No stage of its own: it runs the five, so finished cells are skipped, and reads their predictions.
"""

import csv
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.corpora import task_of
from pipelines.metrics import Metric, metrics_for
from pipelines.objectives import METHODS, make_objective
from pipelines.recipe import Recipe
from pipelines.reporting.comparison import Comparison, compare_methods, seed_noise
from pipelines.reporting.paired import Methods, load_methods
from pipelines.reporting.table import BASELINE
from pipelines.reporting.writers import write_results_json
from pipelines.stages import run_all
from pipelines.stages.cells import Cell, load_cells
from pipelines.workspace import Workspace, read_sidecar


@dataclass(frozen=True)
class Compared:
    """What a comparison by one metric found.

    Attributes:
        comparisons: one a method, in the order of the registry.
        baseline: value of visual only.
        noise: mean absolute difference of two trainings of visual only; NaN for one seed.
        chosen: teacher -> share of the samples for which it spoke to MT-PKDOT, in the first and in the last epoch.
        hallucination: privileged modality -> R^2 on validation groups, a mean over cells.
    """

    comparisons: list[Comparison]
    baseline: float
    noise: float
    chosen: dict[str, tuple[float, float]]
    hallucination: dict[str, float]


def run(
    recipe: Recipe,
    workspace: Workspace,
    *,
    methods: tuple[str, ...] | None = None,
    workers: int | None = None,
) -> dict[str, Compared]:
    """Run what is stale and compare, by every metric of the task; writes comparison.json beside the results.

    Args:
        methods: by default all; `none` is always among them.

    Raises:
        SettingsError: a method that does not exist.
    """
    for name in methods or ():
        make_objective(name, task_of(recipe.corpus), recipe.distillation)
    chosen = tuple(name for name in METHODS if name == BASELINE or name in (methods or tuple(METHODS)))
    settings = recipe.distillation.model_copy(update={"methods": chosen})
    recipe = recipe.model_copy(update={"distillation": settings})
    run_all(recipe, workspace, workers=workers)
    cells = load_cells(recipe, workspace)
    files = {
        method: {
            (cell.split.fold, cell.split.seed): workspace.predictions(cell.split.fold, cell.split.seed, method)
            for cell in cells
        }
        for method in chosen
    }
    known = load_methods(files, cells[0].task, recipe.evaluation)
    found = {metric.name: _compare(known, metric, cells) for metric in metrics_for(cells[0].task)}
    content = {name: asdict(compared) for name, compared in found.items()}
    write_results_json(workspace.root / "comparison.json", content)
    return found


def _compare(known: Methods, metric: Metric[Any], cells: list[Cell]) -> Compared:
    n_train = float(np.mean([len(cell.split.train) + len(cell.split.validation) for cell in cells]))
    n_test = float(np.mean([len(cell.split.test) for cell in cells]))
    statistics = [part.statistics(metric) for part in known.seeds[BASELINE]]
    values = [np.mean(metric.value(item, np.ones((1, len(item.groups))))[0]) for item in statistics]
    return Compared(
        comparisons=compare_methods(known, metric, n_train=n_train, n_test=n_test),
        baseline=float(np.mean(values)),
        noise=seed_noise(known, metric),
        chosen=_chosen(cells),
        hallucination=_hallucination(cells),
    )


def _chosen(cells: list[Cell]) -> dict[str, tuple[float, float]]:
    """Shares from the histories of MT-PKDOT's students, means over cells."""
    firsts, lasts = [], []
    for cell in cells:
        path = cell.workspace.student(cell.split.fold, cell.split.seed, "mt-pkdot").with_suffix(".history.csv")
        if path.exists():
            rows = _rows(path)
            firsts.append(rows[0])
            lasts.append(rows[-1])
    names = [name for name in firsts[0] if name.startswith("chosen/")] if firsts else []
    first, last = ({name: float(np.mean([row[name] for row in rows])) for name in names} for rows in (firsts, lasts))
    return {name.removeprefix("chosen/"): (first[name], last[name]) for name in names}


def _rows(path: Path) -> list[dict[str, float]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(stream)]


def _hallucination(cells: list[Cell]) -> dict[str, float]:
    records = [read_sidecar(cell.hallucination) for cell in cells]
    scores = [record["details"]["r2_on_validation_subjects"] for record in records if record]
    return {name: float(np.nanmean([score[name] for score in scores])) for name in (scores[0] if scores else ())}
