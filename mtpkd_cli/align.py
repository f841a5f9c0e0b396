"""`mtpkd align`: stage 3."""

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


def align(
    workspace: WorkspaceOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = ExecutorName.local,
    address: AddressOption = None,
    num_gpus: NumGpusOption = None,
    with_dependencies: DependenciesOption = False,
    track: TrackOption = None,
) -> None:
    """Teachers -> adapters that draw every teacher to the joint one, and aligned embeddings."""
    from pipelines.stages import align as stage
    from pipelines.stages import run_before

    speak()
    work = place_of_work(executor, workers=workers, address=address, num_gpus=num_gpus)
    recipe, place = open_workspace(workspace)
    if with_dependencies:
        run_before("align", recipe, place, workers=work, track=track or ())
    stage.run(recipe, place, workers=work, track=track or ())
