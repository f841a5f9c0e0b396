"""`mtpkd inspect`: what the cache holds, and one clip as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtpkd_cli.options import WorkspaceOption, open_workspace

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pipelines.reporting.overview import Overview, Slice

_GROUPS = 5
"""Most groups that are listed."""
_REASONS = 10
"""Most kinds of failures that are listed."""


def inspect(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="WORKSPACE",
            help="Folder of the run's files; what is no folder is taken for CLIP.",
            show_default="the only one in runs/",
        ),
    ] = None,
    clip: Annotated[
        str | None,
        typer.Argument(metavar="CLIP", help="Draw this clip as a contact sheet.", show_default="count all clips"),
    ] = None,
    workspace: WorkspaceOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where the sheet goes.", show_default="WORKSPACE/inspect/CLIP.png"),
    ] = None,
    start_s: Annotated[float | None, typer.Option("--from", min=0, help="Show the clip from this second on.")] = None,
    stop_s: Annotated[float | None, typer.Option("--to", min=0, help="Show the clip up to this second.")] = None,
) -> None:
    """Cache -> coverage, labels and failures in numbers; or one clip -> crops, waves, sound and labels as a picture."""
    from pipelines.errors import SettingsError

    folder, name = _meant(target, clip, workspace)
    recipe, place = open_workspace(folder)
    if name is None:
        if output is not None or start_s is not None or stop_s is not None:
            raise SettingsError("--output, --from and --to are about one clip: name it after the workspace")
        from pipelines.stages.inspection import overview

        show_overview(overview(recipe, place), f"{place.root}")
        return
    from pipelines.stages.clip_sheet import inspect_clip

    done = inspect_clip(recipe, place, name, output=output, start_s=start_s, stop_s=stop_s)
    print(f"contact sheet: {done.path}\nusable: {done.coverage}")


def _meant(target: str | None, clip: str | None, workspace: Path | None) -> tuple[Path | None, str | None]:
    """The workspace and the clip, of two arguments that may both be left out.

    Raises:
        SettingsError: the workspace is named twice.
    """
    from pipelines.errors import SettingsError

    if workspace is not None:
        if clip is not None:
            raise SettingsError(f"{target} and --workspace {workspace}: name the workspace once")
        return workspace, target
    # A clip's name is safe as a file name: what has a separator in it is a folder, be it there or not.
    if clip is None and target is not None and Path(target).name == target and not Path(target).is_dir():
        return None, target
    return None if target is None else Path(target), clip


def show_overview(found: "Overview", root: str) -> None:
    """Print what the cache holds, in 80 columns."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.print(f"{root}: {found.clips:,} clips of {found.groups:,} groups", soft_wrap=True)
    console.print()
    console.print(_coverage_table(found))
    if found.absent:
        console.print(f"not preprocessed yet: {', '.join(found.absent)}")
    _print_labels(console, found)
    _print_groups(console, found)
    _print_failures(console, found)


def _table(first: str, *columns: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(first, overflow="fold")
    for heading in columns:
        table.add_column(heading, justify="right")
    return table


def _coverage_table(found: "Overview") -> "Table":
    table = _table("modality", "whole", "partly", "missing", "mean share")
    for name, known in found.coverage.items():
        table.add_row(name, f"{known.whole:,}", f"{known.partly:,}", f"{known.missing:,}", f"{100 * known.share:.1f} %")
    return table


def _print_labels(console: "Console", found: "Overview") -> None:
    from pipelines.stages.inspection import QUANTILES

    labelled = found.clips - found.unlabelled
    console.print(f"\nlabels: {labelled:,} clips have one, {found.unlabelled:,} have none")
    if found.classes:
        console.print(_shares("class", found.classes, found))
    if found.distributions:
        quantiles = ("median" if share == 0.5 else f"{100 * share:g} %" for share in QUANTILES)
        table = _table("dimension", found.unit, "mean", "sd", *quantiles)
        for known in found.distributions:
            numbers = (known.mean, known.deviation, *known.quantiles)
            table.add_row(known.dimension, f"{known.number:,}", *(f"{value:.3g}" for value in numbers))
        console.print(table)


def _print_groups(console: "Console", found: "Overview") -> None:
    if not found.least:
        console.print("\nevery group has everything")
        return
    shown = found.least[:_GROUPS]
    lacking = f"{len(found.least):,} of {found.groups:,} groups lack something"
    console.print(f"\n{lacking}{', most of all' if len(found.least) > len(shown) else ''}:")
    console.print(_shares("group", shown, found))


def _shares(what: str, slices: "tuple[Slice, ...]", found: "Overview") -> "Table":
    """Mean share of every modality, a line a class or group."""
    table = _table(what, "clips", *found.coverage)
    for one in slices:
        shares = (f"{100 * share:.1f} %" if one.clips else "-" for share in one.shares.values())
        table.add_row(one.name, f"{one.clips:,}", *shares)
    return table


def _print_failures(console: "Console", found: "Overview") -> None:
    total = sum(kind.number for kind in found.failures)
    if not total:
        console.print("\nno failures")
        return
    console.print(f"\nfailures: {total:,}")
    for kind in found.failures[:_REASONS]:
        console.print(f"{kind.number:>7,}  {kind.modality}: {kind.reason}", soft_wrap=True)
        console.print(f"         {'first: ' if kind.number > 1 else ''}{kind.file}", soft_wrap=True)
    if len(found.failures) > _REASONS:
        console.print(f"         and {len(found.failures) - _REASONS} more kinds of failures")
