"""`mtpkd align`: stage 3."""

from mtpkd_cli.options import (
    DependenciesOption,
    DeviceOption,
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
) -> None:
    """Teachers -> adapters that draw every teacher to the joint one, and aligned embeddings."""
    from pipelines.stages import align as stage
    from pipelines.stages import run_before

    speak()
    compute_on(device)
    recipe, place = open_workspace(workspace)
    if with_dependencies:
        run_before("align", recipe, place, workers=workers, track=track or ())
    stage.run(recipe, place, workers=workers, track=track or ())
