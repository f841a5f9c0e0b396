"""`mtpkd distill`: stage 4."""

from typing import Annotated

import typer

from mtpkd_cli.options import (
    DependenciesOption,
    DeviceOption,
    DevicesOption,
    NodesOption,
    StrategyName,
    StrategyOption,
    TrackOption,
    WorkersOption,
    WorkspaceOption,
    compute_on,
    open_workspace,
    speak,
)


def distill(
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="Method to train; may be repeated.", show_default="those of the recipe"),
    ] = None,
    workspace: WorkspaceOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    with_dependencies: DependenciesOption = False,
    track: TrackOption = None,
    devices: DevicesOption = None,
    nodes: NodesOption = None,
    strategy: StrategyOption = StrategyName.ddp,
) -> None:
    """Aligned teachers -> students that see only the face."""
    from pipelines.stages import distill as stage
    from pipelines.stages import run_before
    from pipelines.stages.team import assembled

    speak()
    compute_on(device)
    recipe, place = open_workspace(workspace)
    with assembled(recipe, devices=devices, nodes=nodes, workers=workers) as team:
        if with_dependencies:
            run_before("distill", recipe, place, workers=workers, track=track or (), team=team)
        stage.run(recipe, place, methods=method, workers=workers, track=track or (), team=team)
