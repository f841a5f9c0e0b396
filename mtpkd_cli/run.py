"""`mtpkd run`: all five stages, what is stale of them, in order."""

from pathlib import Path
from typing import Annotated

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
from mtpkd_cli.options import (
    RUNS,
    LabelledOption,
    MaxFailuresOption,
    MetricOption,
    NewWorkspaceOption,
    TrackOption,
    speak,
)


def run(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A shipped recipe (biovid, affwild2, demo, demo-affwild2) or a YAML file, as a manifest's recipe.yaml."
        ),
    ],
    root: Annotated[Path | None, typer.Argument(help="Where the corpus lies.", show_default="as in the recipe")] = None,
    workspace: NewWorkspaceOption = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting: key.sub=value; may be repeated.")
    ] = None,
    labelled: LabelledOption = None,
    metric: MetricOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = ExecutorName.local,
    address: AddressOption = None,
    num_gpus: NumGpusOption = None,
    device: DeviceOption = None,
    max_failures: MaxFailuresOption = 0.05,
    track: TrackOption = None,
) -> None:
    """Run every stage that is not up to date, and print the results."""
    from mtpkd_cli.evaluate import show_results
    from pipelines.corpora import task_of
    from pipelines.metrics import get_metric
    from pipelines.recipe.loading import load_recipe, override_recipe
    from pipelines.stages import run_all
    from pipelines.workspace import Workspace

    speak()
    work = Machines(workers, executor, address, num_gpus, device).work()
    changes: dict[str, object] = {} if root is None else {"corpus.root": str(root)}
    changes |= {} if labelled is None else {"protocol.labelled": labelled}
    chosen = override_recipe(load_recipe(recipe, tuple(settings or ())), **changes)
    if metric is not None:
        get_metric(metric, task_of(chosen.corpus))
    place = Workspace(workspace or RUNS / chosen.corpus.name)
    run_all(chosen, place, workers=work, max_failures=max_failures, track=track or ())
    show_results(chosen, place, metric)
