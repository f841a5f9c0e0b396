"""Where units of work are done, when not in processes of this machine.

An executor is a description, settled on the command line and handed down to `run_units` in place of a number of local
processes. What it makes of itself is an `AnyCrew`, as local processes are; so nothing else knows the difference.

- What a unit needs is said by its stage (`needing`): the threads of a training, or a share of a graphics card.
- Units go to other machines with the folder of this process, and all paths in them mean the same there: the folder
  with workspace and corpus is shared by all machines. Which unit is done is only ever asked of the workspace.
- Only this process holds the lock of the workspace and writes metrics.csv. A unit that outlives it may go on writing
  for a moment; it writes each artifact beside its place, as always.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pipelines.stages.team import Team
from pipelines.stages.workers import AnyCrew, Task

Kind = TypeVar("Kind", bound="Executor")


@dataclass(frozen=True)
class Executor(ABC):
    """Another place for units.

    Attributes:
        workers: most units at a time; None for as many as there is room for.
        cpus: processors that a unit is given.
        gpus: graphics cards that a unit is given, or the share of one; None leaves it to the recipe's device.
    """

    workers: int | None = None
    cpus: int = 1
    gpus: float | None = None

    def needing(self: Kind, *, cpus: int, gpus: float) -> Kind:
        """The same, for units of a stage that has these needs."""
        return replace(self, cpus=cpus, gpus=gpus)

    @abstractmethod
    def crew(self, task: Task, *, limit_s: float | None, root: Path) -> AbstractContextManager[AnyCrew]:
        """Those who do a task.

        Args:
            task: what is done with a unit; of a module, as it is imported elsewhere.
            limit_s: longest time a clip may take, or silence between two; None waits for ever.
            root: the workspace's folder.
        """


Workers = int | Executor | Team
"""Who does the units: a number of processes of this machine, another place, or all processes of a team, together."""
