"""`mtpkd align`: stage 3."""

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


def align(
    workspace: WorkspaceOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    with_dependencies: DependenciesOption = False,
    track: TrackOption = None,
    devices: DevicesOption = None,
    nodes: NodesOption = None,
    strategy: StrategyOption = StrategyName.ddp,
) -> None:
    """Teachers -> adapters that draw every teacher to the joint one, and aligned embeddings."""
    from pipelines.stages import align as stage
    from pipelines.stages import run_before
    from pipelines.stages.team import assembled

    speak()
    compute_on(device)
    recipe, place = open_workspace(workspace)
    with assembled(recipe, devices=devices, nodes=nodes, workers=workers) as team:
        if with_dependencies:
            run_before("align", recipe, place, workers=workers, track=track or (), team=team)
        stage.run(recipe, place, workers=workers, track=track or (), team=team)
