"""`mtpkd verify`: is what a workspace holds what was written?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtpkd_cli.options import WorkspaceOption, open_workspace

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pipelines.stages.verify import Tally, Verification

_LISTED = 20
"""Most files that are listed for one remedy, and of leftovers."""


def verify(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="WORKSPACE", help="Folder of the run's files.", show_default="the only one in runs/"),
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Workspace -> what is damaged, missing or left over, and what to run; exits with 1 where anything is wrong."""
    from rich.console import Console

    from pipelines.errors import SettingsError
    from pipelines.stages import verify as stage

    if folder is not None and workspace is not None:
        raise SettingsError(f"{folder} and --workspace {workspace}: name one workspace, once")
    _, place = open_workspace(folder or workspace)
    found = stage.verify(place)
    console = Console(highlight=False, markup=False)
    console.print(f"{place.root}\n", soft_wrap=True)
    console.print(_table(found))
    _print_problems(console, found)
    _print_leftovers(console, found)
    if not found.is_sound:
        raise typer.Exit(1)
    console.print("\nno problems found")


def _table(found: "Verification") -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("files of")
    for heading in ("there", "damaged", "missing", "clips", "size"):
        table.add_column(heading, justify="right")
    for name, tally in found.tallies.items():
        table.add_row(name, *_cells(tally))
    return table


def _cells(tally: "Tally") -> list[str]:
    numbers = (f"{number:,}" for number in (tally.files, tally.faulty, tally.missing))
    return [*numbers, f"{tally.clips:,}" if tally.clips else "", f"{tally.bytes / 1e6:,.1f} MB"]


def _print_problems(console: "Console", found: "Verification") -> None:
    """Problems by what mends them, in the order in which that should be run."""
    from pipelines.workspace import relative

    if found.problems:
        console.print(f"\n{_count(len(found.problems), 'problem')} found")
    for remedy in dict.fromkeys(problem.remedy for problem in found.problems):
        mended = [problem for problem in found.problems if problem.remedy == remedy]
        console.print()
        for problem in mended[:_LISTED]:
            console.print(f"  {relative(problem.path, found.workspace.root)} {problem.reason}", soft_wrap=True)
        if len(mended) > _LISTED:
            console.print(f"  and {len(mended) - _LISTED:,} more")
        console.print(remedy, soft_wrap=True)


def _print_leftovers(console: "Console", found: "Verification") -> None:
    from pipelines.workspace import relative

    if found.leftovers:
        console.print(f"\n{_count(len(found.leftovers), 'harmless leftover')} found")
    for leftover in found.leftovers[:_LISTED]:
        console.print(f"  {relative(leftover.path, found.workspace.root)} {leftover.reason}", soft_wrap=True)
    if len(found.leftovers) > _LISTED:
        console.print(f"  and {len(found.leftovers) - _LISTED:,} more")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
