"""What the command line says of machines: who does the work, on which devices, and which options go together."""

import logging
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.errors import SettingsError

if TYPE_CHECKING:
    from pipelines.recipe import Recipe
    from pipelines.stages.executors import Executor
    from pipelines.stages.team import Team


class DeviceName(StrEnum):
    """What networks are computed on."""

    auto = "auto"
    cuda = "cuda"
    cpu = "cpu"


class StrategyName(StrEnum):
    """How several processes train one model."""

    ddp = "ddp"


class ExecutorName(StrEnum):
    """Where units of work are done: in processes of this machine, or in tasks of a Ray cluster."""

    local = "local"
    ray = "ray"


class AnyExecutorName(StrEnum):
    """The same, or in array jobs of Slurm."""

    local = "local"
    ray = "ray"
    slurm = "slurm"


class ClusterName(StrEnum):
    """What runs an array job."""

    slurm = "slurm"
    local = "local"


WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="Processes to use, or tasks at a time.", show_default="one a processor, what fits"
    ),
]
ExecutorOption = Annotated[ExecutorName, typer.Option("--executor", help="What runs the work.")]
AnyExecutorOption = Annotated[AnyExecutorName, typer.Option("--executor", help="What runs the work.")]
AddressOption = Annotated[
    str | None,
    typer.Option("--address", help="Of Ray: auto, HOST:PORT, or local to start one.", show_default="auto"),
]
NumGpusOption = Annotated[
    float | None,
    typer.Option(
        "--num-gpus",
        min=0,
        help="Graphics cards, or the share of one, that a task trains on; Slurm gives whole ones.",
        show_default="1 where the device is one",
    ),
]
DeviceOption = Annotated[
    DeviceName | None,
    typer.Option("--device", help="What to compute on; makes nothing stale.", show_default="as in the recipe"),
]
DevicesOption = Annotated[
    int | None,
    typer.Option(
        "--devices",
        min=1,
        help="Processes a machine that train one model.",
        show_default="1, or those of torchrun or srun",
    ),
]
NodesOption = Annotated[
    int | None,
    typer.Option(
        "--nodes", min=1, help="Machines that train one model.", show_default="1, or those of torchrun or srun"
    ),
]
StrategyOption = Annotated[StrategyName, typer.Option("--strategy", help="How several processes train one model.")]
PartitionOption = Annotated[
    str | None, typer.Option("--partition", help="Of Slurm.", show_default="the cluster's own default")
]
TimeOption = Annotated[
    int | None, typer.Option("--time", min=1, help="Minutes that a job of Slurm may take.", show_default="240")
]
ArrayOption = Annotated[
    int | None,
    typer.Option("--array", min=1, help="Jobs of Slurm at a time.", show_default="32; with --cluster local, what fits"),
]
ClusterOption = Annotated[
    ClusterName | None,
    typer.Option("--cluster", help="Of --executor slurm: local tries it on this machine.", show_default="slurm"),
]


@dataclass(frozen=True)
class Machines:
    """What was said; None and `local` where nothing was."""

    workers: int | None = None
    executor: str = "local"
    address: str | None = None
    num_gpus: float | None = None
    device: DeviceName | None = None
    devices: int | None = None
    nodes: int | None = None
    partition: str | None = None
    time: int | None = None
    array: int | None = None
    cluster: ClusterName | None = None

    def work(self) -> "int | Executor | None":
        """A number of processes, or another place.

        Raises:
            SettingsError: options that mean nothing to who does the work, or what is needed is not there.
        """
        self._check()
        self._compute_on()
        if self.executor == "ray":
            from pipelines.stages.executors.ray_cluster import RayCluster

            cluster = RayCluster(workers=self.workers, gpus=self.num_gpus, address=self.address or "auto")
            cluster.connect()
            return cluster
        return self._array_job() if self.executor == "slurm" else self.workers

    def team(self, recipe: "Recipe") -> "AbstractContextManager[Team | None]":
        """The processes that train each model together; None where it is one. Raises as `assembled`."""
        from pipelines.stages.team import assembled

        others = {"--workers": self.workers, "--executor": None if self.executor == "local" else self.executor}
        return assembled(recipe, devices=self.devices, nodes=self.nodes, instead_of=_given(others))

    def _check(self) -> None:
        slurm = {"--partition": self.partition, "--time": self.time, "--array": self.array, "--cluster": self.cluster}
        if self.executor != "slurm":
            _refuse(slurm, "needs --executor slurm")
        if self.executor == "slurm":
            _refuse({"--address": self.address}, "needs --executor ray")
            why = "means nothing to --executor slurm: --array says how many jobs run at a time"
            _refuse({"--workers": self.workers}, why)
        if self.executor == "local":
            given = {"--address": self.address, "--num-gpus": self.num_gpus}
            _refuse(given, "says how a cluster is used: it needs --executor ray")

    def _compute_on(self) -> None:
        """Overrule the recipe's device for this command and whoever works for it, and say so."""
        if self.device is None:
            return
        from pipelines.training.device import DEVICE_VARIABLE, accelerator

        os.environ[DEVICE_VARIABLE] = self.device.value
        # Who hands out work need not have what those have who do it.
        found = accelerator(self.device.value) if self.executor == "local" else self.device.value
        if os.environ.get("LOCAL_RANK", "0") == "0":  # those whom it starts need not repeat it
            logging.getLogger("mtpkd").info("device: %s, by --device; what is up to date stays so", found)

    def _array_job(self) -> "Executor":
        from pipelines.stages.executors.slurm import SlurmArray

        chosen = {"minutes": self.time, "cluster": self.cluster and self.cluster.value}
        given = {name: value for name, value in chosen.items() if value is not None}
        executor = SlurmArray(workers=self.array, gpus=self.num_gpus, partition=self.partition, **given)
        executor.check()
        return executor


def _given(options: Mapping[str, object]) -> str | None:
    """The first option that was given, as it was."""
    return next((f"{name} {value}" for name, value in options.items() if value is not None), None)


def _refuse(options: Mapping[str, object], why: str) -> None:
    for name in (name for name, value in options.items() if value is not None):
        raise SettingsError(f"{name} {why}")
