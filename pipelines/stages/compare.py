"""Comparing methods: methods x folds x seeds on identical splits, and what the numbers allow to say.

No stage of its own: it runs the five, so finished cells are skipped, and reads what they left. Several shares of labels
are so many comparisons, each in a workspace of its own around one cache.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines import __version__
from pipelines.corpora import task_of
from pipelines.errors import SettingsError
from pipelines.metrics import Metric, metrics_for
from pipelines.objectives import METHODS, make_objective
from pipelines.recipe import Recipe
from pipelines.recipe.loading import override_recipe, plain
from pipelines.reporting.comparison import Compared, compare
from pipelines.reporting.comparison_plots import plot_curve, plot_differences, plot_selection
from pipelines.reporting.paired import load_methods
from pipelines.reporting.strata import stratify
from pipelines.reporting.table import BASELINE
from pipelines.reporting.training_record import TrainingRecord, read_training_record
from pipelines.reporting.writers import write_comparison_csv, write_results_json
from pipelines.stages import run_all
from pipelines.stages.cells import Cell, load_cells
from pipelines.stages.evaluate import prediction_files
from pipelines.stages.executors import Workers
from pipelines.stages.locking import hold
from pipelines.workspace import Workspace


@dataclass(frozen=True)
class Outcome:
    """A finished comparison: by every metric of the task, and what happened inside."""

    by_metric: dict[str, Compared]
    record: TrainingRecord


def run(
    recipe: Recipe,
    workspace: Workspace,
    *,
    methods: Sequence[str] | None = None,
    metric: Metric[Any] | None = None,
    workers: Workers | None = None,
    track: Sequence[str] = (),
) -> Outcome:
    """Run what is stale and compare; writes comparison.json, comparison.csv and the plots beside the results.

    Args:
        methods: by default all; `none` is always among them.
        metric: what is plotted, by default the task's headline.
        track: services that are sent what is measured, see `tracking`.

    Raises:
        SettingsError: a method that does not exist.
    """
    chosen = _chosen(recipe, methods)
    settings = recipe.distillation.model_copy(update={"methods": chosen})
    recipe = recipe.model_copy(update={"distillation": settings})
    with hold(workspace):
        run_all(recipe, workspace, workers=workers, track=track)
        cells = load_cells(recipe, workspace)
        known = load_methods(prediction_files(chosen, cells), cells[0].task, recipe.evaluation)
        strata = stratify(known, {row.clip: row.attributes for row in cells[0].clips})
        outcome = Outcome(
            by_metric={item.name: compare(known, item, strata) for item in metrics_for(cells[0].task)},
            record=read_record(cells, chosen),
        )
        _write(outcome, recipe, workspace, metric or metrics_for(cells[0].task)[0])
    return outcome


def run_curve(
    recipe: Recipe,
    workspace: Workspace,
    shares: Sequence[float],
    *,
    methods: Sequence[str] | None = None,
    metric: Metric[Any] | None = None,
    workers: Workers | None = None,
    track: Sequence[str] = (),
) -> dict[float, Outcome]:
    """Compare with several shares of the training groups labelled; also writes the curve, comparison/labelled.*.

    All labels are used in the whole workspace, fewer in one of their own inside it, around the same cache.

    Args:
        shares: each in (0, 1]; the smallest is run first, because it is the one that may not do.
        methods, metric, track: see `run`.

    Raises:
        SettingsError: a method that does not exist, or a share that is none or leaves too few groups with labels.
    """
    _chosen(recipe, methods)
    recipes = {share: override_recipe(recipe, **{"protocol.labelled": share}) for share in sorted(set(shares))}
    with hold(workspace):
        outcomes = {
            share: run(changed, workspace.labelled(share), methods=methods, metric=metric, workers=workers, track=track)
            for share, changed in recipes.items()
        }
        metric = metric or metrics_for(task_of(recipe.corpus))[0]
        found = {share: outcome.by_metric for share, outcome in outcomes.items()}
        folder = workspace.whole.comparison
        write_comparison_csv(folder / "labelled.csv", found)
        curve = {share: by_metric[metric.name] for share, by_metric in found.items()}
        plot_curve(curve, metric, folder / "labelled.png")
    return outcomes


def _chosen(recipe: Recipe, methods: Sequence[str] | None) -> tuple[str, ...]:
    """The methods in the order of the registry, the baseline among them."""
    for name in methods or ():
        make_objective(name, task_of(recipe.corpus), recipe.distillation)
    chosen = tuple(name for name in METHODS if name == BASELINE or name in (methods or tuple(METHODS)))
    if len(chosen) < 2:
        raise SettingsError(f"--methods {BASELINE}: there is nothing to compare {BASELINE} with, name other methods")
    return chosen


def read_record(cells: Sequence[Cell], methods: Sequence[str]) -> TrainingRecord:
    """What happened while the students of some methods were trained. Raises MissingArtifact without a history."""

    def history(cell: Cell, method: str) -> Path:
        student = cell.workspace.student(cell.split.fold, cell.split.seed, method)
        return cell.workspace.require(student.with_suffix(".history.csv"), "mtpkd distill")

    return read_training_record(
        {method: [history(cell, method) for cell in cells] for method in methods},
        aligned=[cell.aligned(cell.full) for cell in cells],
        hallucination=[cell.hallucination for cell in cells],
    )


def _write(outcome: Outcome, recipe: Recipe, workspace: Workspace, metric: Metric[Any]) -> None:
    content = {
        "version": __version__,
        "metrics": {name: asdict(compared) for name, compared in outcome.by_metric.items()},
        **asdict(outcome.record),
        "recipe": plain(recipe),
    }
    write_results_json(workspace.root / "comparison.json", content)
    write_comparison_csv(workspace.root / "comparison.csv", {recipe.protocol.labelled: outcome.by_metric})
    plot_differences(outcome.by_metric[metric.name].comparisons, metric, workspace.comparison / "methods.png")
    plot_selection(outcome.record.teaching, workspace.comparison / "selection.png")
