"""`mtpkd compare`: methods x folds x seeds on identical splits, and what the numbers allow to say."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mtpkd_cli.machines import (
    AddressOption,
    AnyExecutorName,
    AnyExecutorOption,
    ArrayOption,
    ClusterOption,
    DeviceOption,
    Machines,
    NumGpusOption,
    PartitionOption,
    TimeOption,
    WorkersOption,
)
from mtpkd_cli.options import MetricOption, TrackOption, WorkspaceOption, open_workspace, speak
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
    executor: AnyExecutorOption = AnyExecutorName.local,
    address: AddressOption = None,
    num_gpus: NumGpusOption = None,
    partition: PartitionOption = None,
    time: TimeOption = None,
    array: ArrayOption = None,
    cluster: ClusterOption = None,
    device: DeviceOption = None,
    track: TrackOption = None,
) -> None:
    """Run what is stale for every method, fold and seed, and compare with visual only and the controls."""
    speak()
    slurm = {"partition": partition, "time": time, "array": array, "cluster": cluster}
    work = Machines(workers, executor, address, num_gpus, device, **slurm).work()
    recipe, place = open_workspace(workspace)
    shares = _shares(labelled)
    names = None if methods is None else tuple(name.strip() for name in methods.split(",") if name.strip())
    running = {"methods": names, "workers": work, "track": track or ()}
    _compare(_protocol(recipe, seeds, folds, shares), place, shares, metric, running)


def _compare(
    recipe: "Recipe", place: "Workspace", shares: Sequence[float], metric: str | None, running: dict[str, Any]
) -> None:
    from pipelines.corpora import task_of
    from pipelines.metrics import get_metric, metrics_for
    from pipelines.stages import compare as stage

    task = task_of(recipe.corpus)
    chosen = get_metric(metric, task) if metric else metrics_for(task)[0]
    if len(shares) > 1:
        _show_curve(stage.run_curve(recipe, place, shares, metric=chosen, **running), recipe, place, chosen)
    else:
        _show(stage.run(recipe, place, metric=chosen, **running), recipe, place, chosen)


def _protocol(recipe: "Recipe", seeds: int, folds: int | None, shares: Sequence[float]) -> "Recipe":
    """The recipe with what the command line says of the protocol."""
    from pipelines.recipe.loading import override_recipe

    changes: dict[str, object] = {"protocol.seeds": list(range(seeds))}
    changes |= {} if folds is None else {"protocol.folds": folds, "protocol.name": "k-fold"}
    changes |= {"protocol.labelled": shares[0]} if len(shares) == 1 else {}
    return override_recipe(recipe, **changes)


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
