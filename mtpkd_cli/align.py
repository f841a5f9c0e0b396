"""`mtpkd align`: stage 3."""

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


def align(
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
    """Teachers -> adapters that draw every teacher to the joint one, and aligned embeddings."""
    machines = Machines(workers, executor, address, num_gpus, device, devices, nodes)
    run_stage("align", workspace, machines, with_dependencies=with_dependencies, track=track, resume=resume)
