"""Units as tasks of a Ray cluster: one task a unit, scheduled by Ray.

- Ray retries nothing (`max_retries=0`): what a death means, and whether a unit is tried again, is decided where it is
  decided for local processes. A unit that died with its node is no suspect.
- What a task says goes to an actor on this node, a mailbox, which is emptied here. A task goes on when it is known
  there which clip it reads, and ends when all that it said has arrived.
- No more tasks are handed over than the cluster has room for, looked up anew each time: nodes that join are used, and
  thousands of units do not lie in the object store at once.
- Tasks belong to this process: when it ends, however that happens, Ray ends them.
"""

import logging
import os
import re
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipelines.errors import MtpkdError, SettingsError
from pipelines.stages.executors import Executor
from pipelines.stages.executors.elsewhere import DIED, Elsewhere, Site, Word, attend
from pipelines.stages.workers import DONE, FAILED, Task

log = logging.getLogger("mtpkd")
_POLL_S = 0.1
_AWAITED = ("begin", "start", DONE, FAILED)
"""What must have arrived, with all that was said before it, before a task goes on: it may be its last word."""
_STOPPED_S = 10.0
"""How long stopped tasks are waited for."""
_KNOCK_S = 5.0
"""How long a machine may take to open a connection."""
_PARTS = 10_000
"""Of a processor or a graphics card: Ray counts in them."""


@dataclass(frozen=True)
class RayCluster(Executor):
    """A Ray cluster.

    Attributes:
        address: `auto` for the one that runs on this machine, HOST:PORT of its head where several do, `local` to start
            one on this machine that ends with this process.
    """

    address: str = "auto"

    def crew(self, task: Task, *, limit_s: float | None, root: Path) -> "RayCrew":
        """See `Executor`. Raises SettingsError without Ray or its cluster."""
        return RayCrew(self, task, limit_s=limit_s, site=Site.here(root))

    def connect(self) -> None:
        """Be part of the cluster, once a process. Raises SettingsError without Ray or its cluster, or as `_check`."""
        if self.address != "local":  # read when Ray is imported; or it asks for ten minutes where nobody is any more
            os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
        try:
            import ray
        except ImportError:
            raise SettingsError("--executor ray: Ray is not installed: pip install 'mtpkd[ray]'") from None
        if ray.is_initialized():
            return
        self._check()
        # Of a cluster that is started here. Ray would put its workers behind everybody else on the machine.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_worker_niceness", "0")
        options: dict[str, Any] = {"include_dashboard": False} if self.address == "local" else {}
        try:
            ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR, **options)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise self._unanswered(error) from None
        _hush()

    def _check(self) -> None:
        """Raises SettingsError for what Ray would refuse less clearly, or only after minutes."""
        gpus = self.gpus or 0
        if gpus != round(gpus, 4) or (gpus > 1 and gpus % 1):
            raise SettingsError(
                f"--num-gpus {gpus:g}: Ray gives a task whole graphics cards, or a share of one with four decimals"
            )
        address = os.environ.get("RAY_ADDRESS", self.address) if self.address == "auto" else self.address
        if address in ("", "auto", "local"):
            return
        place = re.fullmatch(r"\[?([^/\s]+?)\]?:(\d{1,5})", address)
        if place is None or int(place[2]) > 65535:
            raise SettingsError(
                f"--address {address}: expected auto, local or HOST:PORT. The command works on a machine of the "
                "cluster: make this one part of it with `ray start --address HOST:PORT`"
            )
        try:
            socket.create_connection((place[1], int(place[2])), timeout=_KNOCK_S).close()
        except OSError as error:
            raise self._unanswered(error) from None

    def _unanswered(self, error: Exception) -> SettingsError:
        reason = str(error).strip().partition("\n")[0]
        return SettingsError(
            f"--address {self.address}: no Ray cluster answers there ({reason}): start one with `ray start --head`, or "
            "use --address local"
        )


def _hush() -> None:
    """Keep what Ray prints of a dead worker off the terminal: it is told in our words, where a progress bar allows it.

    Ray has no option for it; where a version has no such function, it goes on printing.
    """
    import ray._private.worker as inside

    if hasattr(inside, "print_to_stdstream"):
        inside.print_to_stdstream = lambda *_, **__: None


class RayCrew(Elsewhere):
    """See `Elsewhere`."""

    def __init__(self, executor: RayCluster, task: Task, *, limit_s: float | None, site: Site) -> None:
        super().__init__(limit_s=limit_s)
        self._executor = executor
        self._task = task
        self._site = site
        self._tasks: dict[Any, int] = {}

    @cached_property
    def _ray(self) -> Any:
        import ray

        return ray

    def _open(self) -> None:
        self._executor.connect()
        ray, needs = self._ray, self._executor
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._mailbox = ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox).remote()
        self._remote = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus or 0, max_retries=0)(_attend)
        self._home = ray.put((self._task, self._site))
        if not self._slots():
            cards = f" and {needs.gpus:g} of a graphics card" if needs.gpus else ""
            log.warning(
                "warning: no node of the Ray cluster has %d processor%s%s for a task: waiting for one",
                needs.cpus,
                "s" * (needs.cpus > 1),
                cards,
            )

    def _close(self, *, failed: bool) -> None:
        for ref in self._tasks:
            self._ray.cancel(ref, force=True)
        if self._tasks:
            self._ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=_STOPPED_S)
        self._ray.kill(self._mailbox)

    def _portions(self, waiting: deque[Any]) -> Iterator[list[Any]]:
        room = self._room()
        while waiting and len(self._running) < room:
            unit = waiting.popleft()
            self._tasks[self._remote.remote(self._assigned, unit, self._home, self._mailbox)] = self._assigned
            yield [unit]

    def _room(self) -> int:
        """Most tasks at a time; at least one, which waits until a node is there that can carry it."""
        slots = self._slots()
        return max(1, min(slots, self._executor.workers or slots))

    def _slots(self) -> int:
        """How many tasks all nodes carry."""
        needs = {"CPU": self._executor.cpus, "GPU": self._executor.gpus or 0}
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return sum(min(_fits(need, node.get(name, 0)) for name, need in needs.items() if need) for node in nodes)

    def _listen(self) -> Iterable[Word]:
        ended, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=_POLL_S)
        # What they said is read after it is known that they ended, so nothing is missed, and told before.
        try:
            words = self._ray.get(self._mailbox.empty.remote())
        except self._ray.exceptions.RayActorError:
            raise MtpkdError(
                "the process that tasks of the Ray cluster report to, on this machine, was killed, most often because "
                "memory ran out: run the command again, it goes on where it stopped"
            ) from None
        return [*words, *(word for ref in ended for word in self._last(ref))]

    def _last(self, ref: Any) -> Iterator[Word]:
        """How a task that ended did so; of one that ended well, it was said already."""
        errors, number = self._ray.exceptions, self._tasks.pop(ref)
        try:
            self._ray.get(ref)
        except (errors.NodeDiedError, errors.LocalRayletDiedError, errors.TaskCancelledError):
            yield number, DIED, True
        except (errors.WorkerCrashedError, errors.OutOfMemoryError):
            yield number, DIED, False
        except errors.RayError as error:
            yield number, FAILED, (MtpkdError(_explained(error)), str(error))

    def _stop(self, number: int) -> None:
        for ref in [ref for ref, known in self._tasks.items() if known == number]:
            self._ray.cancel(ref, force=True)
            self._ray.wait([ref], timeout=_STOPPED_S)  # or two would write what the next one makes
            del self._tasks[ref]


class Mailbox:
    """What tasks said that nobody has read yet."""

    def __init__(self) -> None:
        self._words: list[Word] = []

    def put(self, word: Word) -> None:
        """Keep a word."""
        self._words.append(word)

    def empty(self) -> list[Word]:
        """All words, which are not kept any longer."""
        words, self._words = self._words, []
        return words


def _fits(need: float, room: float) -> int:
    """How often a need fits; of floats, 1 // 0.1 would be 9."""
    return round(room * _PARTS) // round(need * _PARTS)


def _explained(error: Exception) -> str:
    """What went wrong with a task, not in it: the last line of what Ray says, those before are a traceback."""
    reason = str(error).strip().splitlines()[-1].strip()
    return (
        f"a task of the Ray cluster failed: {reason}: see whether the same mtpkd, with the same extras, is "
        "installed on all machines"
    )


def _attend(number: int, unit: Any, home: tuple[Task, Site], mailbox: Any) -> None:
    """A task: what runs in a process of the cluster."""
    import ray

    task, site = home

    def send(kind: str, value: Any) -> None:
        arrives = mailbox.put.remote((number, kind, value))
        if kind in _AWAITED:
            ray.get(arrives)

    attend(unit, task, site, send)
