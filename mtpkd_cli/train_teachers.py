"""`mtpkd train-teachers`: stage 2."""

from mtpkd_cli.machines import (
    AddressOption,
    DeviceOption,
    DevicesOption,
    ExecutorName,
    ExecutorOption,
    Machines,
    NodesOption,
    NumGpusOption,
    StrategyName,
    StrategyOption,
    WorkersOption,
)
from mtpkd_cli.options import DependenciesOption, ResumeOption, TrackOption, WorkspaceOption, run_stage


def train_teachers(
    workspace: WorkspaceOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = ExecutorName.local,
    address: AddressOption = None,
    num_gpus: NumGpusOption = None,
    device: DeviceOption = None,
    devices: DevicesOption = None,
    nodes: NodesOption = None,
    strategy: StrategyOption = StrategyName.ddp,
    resume: ResumeOption = True,
    with_dependencies: DependenciesOption = False,
    track: TrackOption = None,
) -> None:
    """Cache -> a teacher a modality, the joint teacher, embeddings and the hallucination net."""
    machines = Machines(workers, executor, address, num_gpus, device, devices, nodes)
    run_stage("train-teachers", workspace, machines, with_dependencies=with_dependencies, track=track, resume=resume)
