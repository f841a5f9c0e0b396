"""`mtpkd distill`: stage 4."""

from typing import Annotated

import typer

from mtpkd_cli.options import (
    AddressOption,
    DependenciesOption,
    ExecutorName,
    ExecutorOption,
    NumGpusOption,
    TrackOption,
    WorkersOption,
    WorkspaceOption,
    open_workspace,
    place_of_work,
    speak,
)


def distill(
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="Method to train; may be repeated.", show_default="those of the recipe"),
    ] = None,
    workspace: WorkspaceOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = ExecutorName.local,
    address: AddressOption = None,
    num_gpus: NumGpusOption = None,
    with_dependencies: DependenciesOption = False,
    track: TrackOption = None,
) -> None:
    """Aligned teachers -> students that see only the face."""
    from pipelines.stages import distill as stage
    from pipelines.stages import run_before

    speak()
    work = place_of_work(executor, workers=workers, address=address, num_gpus=num_gpus)
    recipe, place = open_workspace(workspace)
    if with_dependencies:
        run_before("distill", recipe, place, workers=work, track=track or ())
    stage.run(recipe, place, methods=method, workers=work, track=track or ())
