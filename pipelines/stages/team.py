"""Several processes that train one model together, on the devices of a machine or of several.

Fabric starts those of one machine itself; under torchrun or srun they are there already, and say who they are. Every
process runs the same stage. The first one decides what is stale, and it alone locks the workspace, writes and speaks;
the others follow it, and do their share where a model is trained. What is not trained (embeddings, forests,
calibration) the first one does alone.

- Two groups: the collectives of a training run on the devices and end in an error when nothing is heard for
  SILENCE; decisions and waits go over gloo and have all the time that the first process may need alone.
- A process that ends takes its connections along, which ends whatever the others wait for; they say so. torchrun may
  be faster and tell them to end.
"""

import logging
import os
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pipelines.errors import MtpkdError, SettingsError
from pipelines.recipe import Recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Item = TypeVar("Item")
SILENCE = timedelta(minutes=30)
"""Longest wait for another process in the middle of a training."""
_ALONE = timedelta(days=7)

_LOST = (
    "Connection closed by peer", "Connection reset by peer", "Broken pipe", "Timed out", "timed out",
    "remote process exit", "remote peer", "communicator was aborted",
)  # fmt: skip
"""What torch's messages say when a process is not there any more: gloo's, and NCCL's, which say much else, too."""


class Team:
    """This process among those that train together.

    Args:
        fabric: launched.
    """

    def __init__(self, fabric: "Fabric") -> None:
        import torch.distributed

        self.fabric = fabric
        self.rank, self.size = fabric.global_rank, fabric.world_size
        self._control: Any = torch.distributed.new_group(backend="gloo", timeout=_ALONE)

    @property
    def leads(self) -> bool:
        """Whether this is the first process, which decides, writes and speaks."""
        return self.rank == 0

    def told(self, values: Sequence[int]) -> list[int]:
        """What the first process says, on all of them; each brings as many values."""
        import torch

        message = torch.tensor(values, dtype=torch.int64)
        torch.distributed.broadcast(message, src=0, group=self._control)
        return message.tolist()

    def chosen(self, items: Sequence[Item], own: Sequence[Item]) -> list[Item]:
        """Of the items that all processes have, those that the first one chose."""
        mine = {id(item) for item in own}
        told = self.told([id(item) in mine for item in items])
        return [item for item, is_chosen in zip(items, told, strict=True) if is_chosen]

    def wait(self) -> None:
        """Until all processes are here."""
        import torch.distributed

        torch.distributed.barrier(group=self._control)


def follows(workers: object) -> bool:
    """Whether those who do the work are a team, and this is a process of it that another one leads."""
    return isinstance(workers, Team) and not workers.leads


@contextmanager
def assembled(
    recipe: Recipe, *, devices: int | None = None, nodes: int | None = None, instead_of: str | None = None
) -> Iterator[Team | None]:
    """The processes that a command trains with; None where it is one.

    Args:
        recipe: device and precision.
        devices: processes on each machine; by default those that torchrun or srun started, else 1.
        nodes: machines; by default those that torchrun or srun started processes on, else 1.
        instead_of: an option that asks for others to do the work, which a team leaves no room for.

    Raises:
        SettingsError: there are not so many devices, other processes were started than these, or others were asked.
        MtpkdError: another process ended before its work was done.
    """
    started = _found(os.environ)
    if started is not None:
        devices, nodes = started.agreed(devices, nodes)
    devices, nodes = devices or 1, nodes or 1
    if devices * nodes == 1:
        yield None
        return
    if instead_of is not None:
        raise SettingsError(f"{instead_of}: {devices * nodes} processes train one model after the other; leave it out")
    with _losses_told():
        team = Team(_launched(recipe, devices, nodes, started))
        signal.signal(signal.SIGTERM, _told_to_end)
        if not team.leads:
            logging.getLogger("mtpkd").setLevel(logging.ERROR)
    try:
        with _losses_told():
            yield team
            team.wait()
    except MtpkdError as error:
        if not team.leads:
            error.args = (f"process {team.rank}: {error}",)
        raise
    import torch.distributed

    torch.distributed.destroy_process_group()


@dataclass(frozen=True)
class _Started:
    """Processes that somebody else started, this one among them.

    Attributes:
        by: `torchrun` or `srun`.
        devices: processes on each machine.
        nodes: machines.
        names: what torchrun tells its processes in the environment, for those whom it did not start.
    """

    by: str
    devices: int
    nodes: int
    names: Mapping[str, str] = field(default_factory=dict)

    def agreed(self, devices: int | None, nodes: int | None) -> tuple[int, int]:
        """What was asked for, where that is what was started."""
        asked = devices or self.devices, nodes or self.nodes
        if asked != (self.devices, self.nodes):
            said = {"--devices": devices, "--nodes": nodes}
            raise SettingsError(
                f"{' '.join(f'{name} {number}' for name, number in said.items() if number)}: {self.by} started "
                f"--devices {self.devices} --nodes {self.nodes}; leave these options out, or start as many"
            )
        return asked


def _found(environment: Mapping[str, str]) -> _Started | None:
    """Who started this process together with others, if anybody did."""
    if "TORCHELASTIC_RUN_ID" in environment:
        here = int(environment["LOCAL_WORLD_SIZE"])
        return _Started("torchrun", here, int(environment["WORLD_SIZE"]) // here)
    # A step has a number. The script of a job has none: its tasks are room that nobody has taken yet.
    tasks, nodes = (int(environment.get(f"SLURM_STEP_NUM_{what}", "1")) for what in ("TASKS", "NODES"))
    if tasks == 1:
        return None
    if tasks % nodes:
        raise SettingsError(f"srun started {tasks} processes on {nodes} machines: start as many on each")
    return _Started("srun", tasks // nodes, nodes, _names_of_step(environment))


def _names_of_step(environment: Mapping[str, str]) -> dict[str, str]:
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

    first = SLURMEnvironment.resolve_root_node_address(environment["SLURM_STEP_NODELIST"])
    # Steps of a job, and jobs that follow each other, may share a machine.
    port = 10_000 + (16 * int(environment["SLURM_JOB_ID"]) + int(environment["SLURM_STEP_ID"])) % 20_000
    return {
        "RANK": environment["SLURM_PROCID"],
        "WORLD_SIZE": environment["SLURM_STEP_NUM_TASKS"],
        "LOCAL_RANK": environment["SLURM_LOCALID"],
        "GROUP_RANK": environment["SLURM_NODEID"],
        "MASTER_ADDR": environment.get("MASTER_ADDR", first),
        "MASTER_PORT": environment.get("MASTER_PORT", str(port)),
    }


def _launched(recipe: Recipe, devices: int, nodes: int, started: _Started | None) -> "Fabric":
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    device = _device_for(recipe, devices, started)
    if nodes > 1 and started is None and "NODE_RANK" not in os.environ:
        raise SettingsError(f"--nodes {nodes}: start the same command on every node, with torchrun or srun")
    _quieten()
    if started is not None:
        os.environ.update(started.names)
    # Named, not left to be found: Fabric takes every job of Slurm with several tasks for a step of them.
    environment = LightningEnvironment() if started is None else TorchElasticEnvironment()
    fabric = Fabric(
        accelerator=device,
        devices=devices,
        num_nodes=nodes,
        strategy=DDPStrategy(timeout=SILENCE, cluster_environment=environment),
        precision=recipe.training.precision,
    )
    fabric.launch()
    return fabric


def _device_for(recipe: Recipe, devices: int, started: _Started | None) -> Literal["cpu", "cuda"]:
    """The kind of device of which there are so many."""
    import torch

    from pipelines.training.device import accelerator

    device = accelerator(recipe.training.device)
    if device == "cuda" and devices > torch.cuda.device_count():
        by_srun = started is not None and started.by == "srun"
        why = "; let every task of srun see all cards of its node" if by_srun else ""
        raise SettingsError(f"--devices {devices}: torch finds {torch.cuda.device_count()} CUDA devices here{why}")
    return device


def _told_to_end(*_: object) -> None:
    raise MtpkdError(
        "told to end (SIGTERM), as torchrun and Slurm do when another process of a training ended, or when time is up: "
        "run the same command again, it goes on where it stopped"
    )


def _quieten() -> None:
    """Of what Fabric tells, keep that a process ended for which it ends all others, in our words; no hint of DDP's."""
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    launcher = logging.getLogger("lightning_fabric.strategies.launchers.subprocess_script")
    launcher.setLevel(logging.INFO)
    launcher.addFilter(_only_deaths)


def _only_deaths(record: logging.LogRecord) -> bool:
    if "terminated with code" not in record.getMessage():
        return record.levelno >= logging.WARNING
    record.msg, record.args = f"mtpkd: error: {_ENDED}", ()
    return True


_ENDED = (
    "another process of this training ended before its work was done, see what it said: run the same command again, "
    "it goes on where it stopped"
)


@contextmanager
def _losses_told() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch has no class of its own for it
        if not any(words in str(error) for words in _LOST):
            raise
        raise MtpkdError(_ENDED) from error
