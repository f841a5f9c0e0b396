"""`mtpkd evaluate`: stage 5."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtpkd_cli.machines import (
    AddressOption,
    DeviceOption,
    ExecutorName,
    ExecutorOption,
    Machines,
    NumGpusOption,
    WorkersOption,
)
from mtpkd_cli.options import DependenciesOption, MetricOption, TrackOption, WorkspaceOption, open_workspace, speak

if TYPE_CHECKING:
    from pipelines.recipe import Recipe
    from pipelines.workspace import Workspace


def evaluate(
    metric: MetricOption = None,
    workspace: WorkspaceOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = ExecutorName.local,
    address: AddressOption = None,
    num_gpus: NumGpusOption = None,
    device: DeviceOption = None,
    with_dependencies: DependenciesOption = False,
    track: TrackOption = None,
    submission: Annotated[
        Path | None, typer.Option("--submission", help="Also write every student's ABAW submission file there.")
    ] = None,
) -> None:
    """Students and teachers -> predictions on test subjects or videos, results.csv, results.json and a table."""
    from pipelines.corpora import task_of
    from pipelines.metrics import get_metric
    from pipelines.stages import evaluate as stage
    from pipelines.stages import run_before

    speak()
    work = Machines(workers, executor, address, num_gpus, device).work()
    recipe, place = open_workspace(workspace)
    if metric is not None:
        get_metric(metric, task_of(recipe.corpus))
    if with_dependencies:
        run_before("evaluate", recipe, place, workers=work, track=track or ())
    stage.run(recipe, place, workers=work, track=track or ())
    show_results(recipe, place, metric)
    if submission is not None:
        for path in stage.write_submissions(recipe, place, submission):
            print(f"submission: {path}")


def show_results(recipe: "Recipe", place: "Workspace", name: str | None) -> None:
    """Print the table of one metric, by default the task's headline; of continuous dimensions each has a column."""
    from rich.console import Console

    from pipelines.corpora import task_of
    from pipelines.metrics import get_metric, metrics_for
    from pipelines.reporting import print_table
    from pipelines.reporting.calibration import describe_calibration
    from pipelines.reporting.results import describe_protocol, read_rows

    task = task_of(recipe.corpus)
    metric = get_metric(name, task) if name else metrics_for(task)[0]
    labels = task.labels if task.kind == "continuous" else ()
    unit = "videos" if recipe.corpus.continuous else "groups"
    console = Console(highlight=False)
    console.print()
    print_table(
        console,
        read_rows(place, metric.name),
        metric=metric,
        task=task,
        note=describe_protocol(recipe),
        confidence=recipe.evaluation.confidence,
        dimensions={label: read_rows(place, f"{metric.name}-{label}") for label in labels},
        unit=unit,
    )
    calibration = describe_calibration(place, task, unit=unit)
    if calibration:
        console.print("\n" + "\n".join(calibration), style="dim")
    console.print(f"\nall metrics: {place.results('.csv')}, {place.results('.json')}", soft_wrap=True)
