"""`mtpkd report`: everything that is known from a finished workspace, as one page."""

from pathlib import Path
from typing import Annotated

import typer

from mtpkd_cli.options import WorkspaceOption, open_workspace


def report(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="WORKSPACE", help="Folder of the run's files.", show_default="the only one in runs/"),
    ] = None,
    workspace: WorkspaceOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where the page goes.", show_default="WORKSPACE/report.html"),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Workspace -> one page of HTML: the verdict, tables, pictures, and how to get every number again."""
    from pipelines.errors import SettingsError
    from pipelines.stages import report as stage

    if folder is not None and workspace is not None:
        raise SettingsError(f"{folder} and --workspace {workspace}: name the workspace once")
    recipe, place = open_workspace(folder or workspace)
    written = stage.run(recipe, place, output=output)
    print(f"report: {written.path} ({written.size / 1e6:.2f} MB)")
    if show:
        import webbrowser

        webbrowser.open(written.path.resolve().as_uri())
