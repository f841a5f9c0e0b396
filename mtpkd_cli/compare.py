"""`mtpkd compare`: methods x folds x seeds on identical splits, and what the numbers allow to say."""

from typing import TYPE_CHECKING, Annotated

import typer

from mtpkd_cli.options import LabelledOption, MetricOption, WorkersOption, WorkspaceOption, open_workspace, speak

if TYPE_CHECKING:
    from rich.console import Console

    from pipelines.metrics import Metric
    from pipelines.recipe import Recipe
    from pipelines.stages.compare import Compared
    from pipelines.workspace import Workspace


def compare(
    methods: Annotated[
        str | None, typer.Option("--methods", help="Names with commas between.", show_default="all of `mtpkd methods`")
    ] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", min=2, help="Folds of k-fold.", show_default="as in the recipe")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of every fold, each with its own seed.")] = 3,
    labelled: LabelledOption = None,
    metric: MetricOption = None,
    workspace: WorkspaceOption = None,
    workers: WorkersOption = None,
) -> None:
    """Run what is stale for every method, fold and seed, and compare with visual only and the controls."""
    from pipelines.corpora import task_of
    from pipelines.metrics import get_metric, metrics_for
    from pipelines.recipe.loading import override_recipe
    from pipelines.stages import compare as stage

    speak()
    recipe, place = open_workspace(workspace)
    changes: dict[str, object] = {"protocol.seeds": list(range(seeds))}
    changes |= {} if folds is None else {"protocol.folds": folds, "protocol.name": "k-fold"}
    changes |= {} if labelled is None else {"protocol.labelled": labelled}
    recipe = override_recipe(recipe, **changes)
    task = task_of(recipe.corpus)
    chosen = get_metric(metric, task) if metric else metrics_for(task)[0]
    names = None if methods is None else tuple(name.strip() for name in methods.split(",") if name.strip())
    found = stage.run(recipe, place, methods=names, workers=workers)[chosen.name]
    _show(found, recipe, place, chosen)


def _show(found: "Compared", recipe: "Recipe", place: "Workspace", metric: "Metric") -> None:
    from rich.console import Console

    from pipelines.corpora import task_of
    from pipelines.reporting.comparison_table import print_comparison
    from pipelines.reporting.results import describe_protocol

    note = describe_protocol(recipe).partition("\n")[0]
    console = Console(highlight=False)
    console.print()
    print_comparison(
        console,
        found.comparisons,
        found.baseline,
        metric=metric,
        title=f"{metric.name}, {' / '.join(task_of(recipe.corpus).labels)}",
        note=note if len(recipe.protocol.seeds) > 1 else f"{note}\none seed proves nothing: --seeds 3",
        noise=found.noise,
    )
    _print_inside(console, found)
    console.print(f"\nall metrics: {place.root / 'comparison.json'}, {place.results('.csv')}", soft_wrap=True)


def _print_inside(console: "Console", found: "Compared") -> None:
    """Which teachers spoke, and how well the privileged embeddings are guessed from the face."""
    if found.chosen:
        shares = ", ".join(f"{name} {100 * a:.0f} -> {100 * b:.0f} %" for name, (a, b) in found.chosen.items())
        console.print(f"mt-pkdot listened to, first -> last epoch: {shares}")
    if found.hallucination:
        scores = ", ".join(f"{name} {value:.2f}" for name, value in found.hallucination.items())
        console.print(f"hallucinated from the face, R2 on validation groups: {scores}")
