"""`mtpkd train-teachers`: stage 2."""

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


def train_teachers(
    workspace: WorkspaceOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = ExecutorName.local,
    address: AddressOption = None,
    num_gpus: NumGpusOption = None,
    with_dependencies: DependenciesOption = False,
    track: TrackOption = None,
) -> None:
    """Cache -> a teacher a modality, the joint teacher, embeddings and the hallucination net."""
    from pipelines.stages import run_before
    from pipelines.stages import train_teachers as stage

    speak()
    work = place_of_work(executor, workers=workers, address=address, num_gpus=num_gpus)
    recipe, place = open_workspace(workspace)
    if with_dependencies:
        run_before("train-teachers", recipe, place, workers=work, track=track or ())
    stage.run(recipe, place, workers=work, track=track or ())
