"""Several processes that train one model together, on the devices of a machine or of several.

Fabric starts those of one machine itself; under torchrun or srun they are there already, and it finds them. Every
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from pipelines.errors import MtpkdError, SettingsError
from pipelines.recipe import Recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Item = TypeVar("Item")
SILENCE = timedelta(minutes=30)
"""Longest wait for another process in the middle of a training."""
_ALONE = timedelta(days=7)

_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Timed out", "timed out", "NCCL")
"""What torch's messages say when a process is not there any more."""


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
        devices: processes on each machine; by default those that torchrun started, else 1.
        nodes: machines; by default those that torchrun started processes on, else 1.
        instead_of: an option that asks for others to do the work, which a team leaves no room for.

    Raises:
        SettingsError: there are not so many devices, other processes were started than these, or others were asked.
        MtpkdError: another process ended before its work was done.
    """
    started = _started_by_torchrun()
    devices, nodes = devices or started[0], nodes or started[1]
    if devices * nodes == 1:
        yield None
        return
    if instead_of is not None:
        raise SettingsError(f"{instead_of}: {devices * nodes} processes train one model after the other; leave it out")
    with _losses_told():
        team = Team(_launched(recipe, devices, nodes))
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


def _started_by_torchrun() -> tuple[int, int]:
    """Processes on each machine, and machines."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 1, 1
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return here, int(os.environ["WORLD_SIZE"]) // here


def _launched(recipe: Recipe, devices: int, nodes: int) -> "Fabric":
    import torch
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    from pipelines.training.device import accelerator

    device = accelerator(recipe.training.device)
    if device == "cuda" and devices > torch.cuda.device_count():
        raise SettingsError(f"--devices {devices}: torch finds {torch.cuda.device_count()} CUDA devices here")
    if nodes > 1 and not any(name in os.environ for name in ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "NODE_RANK")):
        raise SettingsError(f"--nodes {nodes}: start the same command on every node, with torchrun or srun")
    _quieten()
    try:
        fabric = Fabric(
            accelerator=device,
            devices=devices,
            num_nodes=nodes,
            strategy=DDPStrategy(timeout=SILENCE),
            precision=recipe.training.precision,
        )
        fabric.launch()
    except ValueError as error:  # torchrun or Slurm started others than were asked for
        raise SettingsError(f"--devices {devices} --nodes {nodes}: {error}") from None
    return fabric


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
