"""`mtpkd compare`: methods x folds x seeds on identical splits, and what the numbers allow to say."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from mtpkd_cli.options import (
    DeviceOption,
    MetricOption,
    TrackOption,
    WorkersOption,
    WorkspaceOption,
    compute_on,
    open_workspace,
    speak,
)
from pipelines.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import Console

    from pipelines.metrics import Metric
    from pipelines.recipe import Recipe
    from pipelines.stages.compare import Outcome
    from pipelines.workspace import Workspace


SharesOption = Annotated[
    str | None,
    typer.Option(
        "--labelled",
        help="Share of training subjects whose labels are used; several (0.1,0.3,1) draw a curve.",
        show_default="as in the recipe",
    ),
]


def compare(
    methods: Annotated[
        str | None, typer.Option("--methods", help="Names with commas between.", show_default="all of `mtpkd methods`")
    ] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", min=2, help="Folds of k-fold.", show_default="as in the recipe")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of every fold, each with its own seed.")] = 3,
    labelled: SharesOption = None,
    metric: MetricOption = None,
    workspace: WorkspaceOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    track: TrackOption = None,
) -> None:
    """Run what is stale for every method, fold and seed, and compare with visual only and the controls."""
    from pipelines.corpora import task_of
    from pipelines.metrics import get_metric, metrics_for
    from pipelines.recipe.loading import override_recipe
    from pipelines.stages import compare as stage

    speak()
    compute_on(device)
    recipe, place = open_workspace(workspace)
    shares = _shares(labelled)
    changes: dict[str, object] = {"protocol.seeds": list(range(seeds))}
    changes |= {} if folds is None else {"protocol.folds": folds, "protocol.name": "k-fold"}
    changes |= {"protocol.labelled": shares[0]} if len(shares) == 1 else {}
    recipe = override_recipe(recipe, **changes)
    task = task_of(recipe.corpus)
    chosen = get_metric(metric, task) if metric else metrics_for(task)[0]
    names = None if methods is None else tuple(name.strip() for name in methods.split(",") if name.strip())
    if len(shares) > 1:
        curve = stage.run_curve(recipe, place, shares, methods=names, metric=chosen, workers=workers, track=track or ())
        _show_curve(curve, recipe, place, chosen)
    else:
        found = stage.run(recipe, place, methods=names, metric=chosen, workers=workers, track=track or ())
        _show(found, recipe, place, chosen)


def _shares(text: str | None) -> tuple[float, ...]:
    """The shares of `--labelled 0.1,0.3`, each once; whether they lie in (0, 1] is the recipe's to judge."""
    try:
        return tuple(dict.fromkeys(float(part) for part in text.split(","))) if text is not None else ()
    except ValueError:
        raise SettingsError(f"--labelled {text}: give a share such as 0.3, or several with commas between") from None


def _show(found: "Outcome", recipe: "Recipe", place: "Workspace", metric: "Metric") -> None:
    from pipelines.reporting.comparison_details import record_table, strata_table
    from pipelines.reporting.comparison_table import print_comparison

    console, compared = _console(), found.by_metric[metric.name]
    title, note = _caption(recipe, metric)
    print_comparison(console, compared, metric=metric, title=title, note=note)
    for table in (
        strata_table(compared.strata, metric=metric) if compared.strata else None,
        record_table(found.record, recipe),
    ):
        if table is not None:
            console.print()
            console.print(table)
    files = f"{place.root / 'comparison.json'}, {place.root / 'comparison.csv'}, {place.results('.csv')}"
    console.print(f"\nall metrics: {files}", soft_wrap=True)
    console.print(f"plots: {place.comparison}", soft_wrap=True)


def _show_curve(found: "Mapping[float, Outcome]", recipe: "Recipe", place: "Workspace", metric: "Metric") -> None:
    from rich.text import Text

    from pipelines.recipe.loading import override_recipe
    from pipelines.reporting.comparison_details import curve_sentences, curve_table

    console = _console()
    title, note = _caption(override_recipe(recipe, **{"protocol.labelled": 1.0}), metric)
    curve = {share: outcome.by_metric[metric.name] for share, outcome in found.items()}
    console.print(curve_table(curve, metric=metric, title=title, note=note))
    console.print()
    for line in curve_sentences(curve):
        console.print(Text(line))
    console.print(
        "\neach share in full:", ", ".join(str(place.labelled(share).root) for share in found), soft_wrap=True
    )
    folder = place.whole.comparison
    files = f"{folder / 'labelled.csv'}, {folder / 'labelled.png'}"
    console.print(f"the curve: {files}", soft_wrap=True)


def _console() -> "Console":
    from rich.console import Console

    console = Console(highlight=False)
    console.print()
    return console


def _caption(recipe: "Recipe", metric: "Metric") -> tuple[str, str]:
    """What was compared, and how it was measured."""
    from pipelines.corpora import task_of
    from pipelines.reporting.results import describe_protocol
    from pipelines.reporting.table import describe_task

    return describe_task(metric, task_of(recipe.corpus)), describe_protocol(recipe, "--seeds 3")
