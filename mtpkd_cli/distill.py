"""`mtpkd distill`: stage 4."""

from typing import Annotated

import typer

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
    device: DeviceOption = None,
    devices: DevicesOption = None,
    nodes: NodesOption = None,
    strategy: StrategyOption = StrategyName.ddp,
    resume: ResumeOption = True,
    with_dependencies: DependenciesOption = False,
    track: TrackOption = None,
) -> None:
    """Aligned teachers -> students that see only the face."""
    machines = Machines(workers, executor, address, num_gpus, device, devices, nodes)
    run_stage(
        "distill", workspace, machines, with_dependencies=with_dependencies, track=track, resume=resume, methods=method
    )
