"""Processes that work on units of a stage, and outlive what their inputs do to them.

- Every worker has a pipe of its own and shares no lock or queue with another: one that is killed, by the kernel for its
  memory or by us for its time, leaves nothing locked behind. Pools that share a queue hang there.
- A worker says what it makes and which clip it is at. When it dies, both are known; when it takes too long over a clip,
  or is silent as long between two, it is killed.
- What a death means is for whoever asked for the work: it is an event like progress, and the unit may be given again.
- A worker ends with its parent, however that ends.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, NoReturn

Send = Callable[[str, Any], None]
"""Takes ("begin", path), ("start", clip), ("advance", clips), ("shrink", clips) or ("log", anything)."""
Task = Callable[[Any, Send], None]
"""(unit, send) -> None; of a module, so that another process can import it."""

_POLL_S = 0.2
DONE, FAILED = "done", "failed"
"""What a worker says last of a unit, beside what `Send` takes."""


@dataclass(frozen=True)
class Progress:
    """What a unit told: `advance` or `shrink`, and by how many clips."""

    kind: str
    clips: int


@dataclass(frozen=True)
class Logged:
    """Something that a unit wants to be kept, passed on as it is."""

    value: Any


@dataclass(frozen=True)
class Death:
    """A worker that ended before its unit was done.

    Attributes:
        unit: what it worked on.
        place: the part of it that was being made; empty where it had begun none.
        clip: what it was at; empty where it was between two.
        advanced: clips of that part that it had reported.
        late: whether it was killed because it took too long.
        exit_code: of the process, negative for a signal; None where nobody knows it.
        lost: whether it went down with its machine, or was told to leave it: no fault of what it worked on.
    """

    unit: Any
    place: str
    clip: str
    advanced: int
    late: bool
    exit_code: int | None
    lost: bool = False


Event = Progress | Logged | Death


class Account:
    """What is known of whoever works on a unit, from what they said of it."""

    def __init__(self, unit: Any) -> None:
        self.unit, self.place, self.clip, self.advanced = unit, "", "", 0
        self._since = time.monotonic()

    def told(self, kind: str, value: Any) -> Iterator[Progress | Logged]:
        """Note what they said of themselves, and yield what is of use to others."""
        self._since = time.monotonic()
        self.clip = value if kind == "start" else ""
        if kind == "begin":
            self.place, self.advanced = value, 0
        if kind == "advance":
            self.advanced += value
        if kind in ("advance", "shrink"):
            yield Progress(kind, value)
        if kind == "log":
            yield Logged(value)

    def is_late(self, limit_s: float) -> bool:
        """Whether nothing was said for longer than that; not before the first word: starting reads no input."""
        return bool(self.place or self.clip) and time.monotonic() - self._since > limit_s

    def death(self, *, late: bool, exit_code: int | None = None, lost: bool = False) -> Death:
        """They are no more."""
        return Death(self.unit, self.place, self.clip, self.advanced, late, exit_code, lost)


class AnyCrew(ABC):
    """Those who work on units, wherever they are.

    Args:
        limit_s: longest time a clip may take, or silence between two; None waits for ever.
    """

    def __init__(self, *, limit_s: float | None) -> None:
        self._limit_s = limit_s
        self._waiting: deque[Any] = deque()
        self._alone: deque[Any] = deque()

    def add(self, unit: Any, *, alone: bool = False) -> None:
        """Put a unit at the end of what waits, also while events are read; `alone` while nothing else is at work."""
        (self._alone if alone else self._waiting).append(unit)

    @abstractmethod
    def work(self, units: Iterable[Any]) -> Iterator[Event]:
        """Do everything that waits, and yield what happens.

        Raises:
            whatever a unit raises, with the worker's traceback as a note.
        """


class Crew(AnyCrew):
    """A number of workers of this machine; leaving it kills those that are at work.

    Args:
        size: most processes at a time.
        task: what is done with a unit.
        limit_s: longest time a clip may take, or silence between two; None waits for ever.
    """

    def __init__(self, size: int, task: Task, *, limit_s: float | None = None) -> None:
        super().__init__(limit_s=limit_s)
        self._size = size
        self._task = task
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self._workers:
            worker.dismiss()

    def work(self, units: Iterable[Any]) -> Iterator[Event]:
        """See AnyCrew."""
        self._waiting.extend(units)
        while self._hand_out():
            busy = {worker.connection: worker for worker in self._workers if worker.busy}
            ready = wait(list(busy), timeout=_POLL_S)
            for connection, worker in busy.items():
                if connection in ready:
                    yield from self._hear(worker)
                elif self._limit_s is not None and worker.account.is_late(self._limit_s):
                    yield self._bury(worker, late=True)

    def _hand_out(self) -> bool:
        """Give every idle worker a unit; whether anybody has one."""
        idle = [worker for worker in self._workers if not worker.busy]
        if self._alone and not self._waiting and len(idle) == len(self._workers):
            self._waiting.append(self._alone.popleft())
        while self._waiting and (idle or len(self._workers) < self._size):
            if not idle:
                idle.append(_Worker(self._task))
                self._workers.append(idle[0])
            idle.pop().give(self._waiting.popleft())
        return any(worker.busy for worker in self._workers)

    def _hear(self, worker: "_Worker") -> Iterator[Event]:
        try:
            kind, value = worker.connection.recv()
        except (EOFError, OSError):
            yield self._bury(worker, late=False)
            return
        if kind == FAILED:
            raise_again(*value)
        worker.busy = kind != DONE
        yield from worker.account.told(kind, value)

    def _bury(self, worker: "_Worker", *, late: bool) -> Death:
        self._workers.remove(worker)
        exit_code = worker.kill()
        return worker.account.death(late=late, exit_code=exit_code)


def raise_again(error: Exception, told: str) -> NoReturn:
    """Raise what was raised elsewhere, with what is known of the place as a note."""
    error.add_note(f"in a worker process:\n{told}")
    raise error


class _Worker:
    """One process, and what is known of it."""

    def __init__(self, task: Task) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, task), daemon=True)
        self._process.start()
        theirs.close()  # or the pipe would not end when the worker does
        self.busy = False

    def give(self, unit: Any) -> None:
        """Let it work on a unit."""
        self.account, self.busy = Account(unit), True
        with suppress(BrokenPipeError):  # it died as it started: the end of the pipe is read as its death
            self.connection.send(unit)

    def kill(self) -> int | None:
        """End it now; the exit code that it had, or has."""
        self._process.kill()
        self._process.join()
        self.connection.close()
        return self._process.exitcode

    def dismiss(self) -> None:
        """End it: an idle one by itself, as it may have things to tidy up."""
        if self.busy:
            self.kill()
        else:
            self.connection.close()
            self._process.join()


def _serve(connection: Connection, task: Task) -> None:
    """A worker's whole life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which kills its workers
    threading.Thread(target=_die_with_parent, daemon=True).start()

    def send(kind: str, value: Any) -> None:
        connection.send((kind, value))

    while True:
        try:
            unit = connection.recv()
        except EOFError:
            return
        try:
            task(unit, send)
        except Exception as error:
            send(FAILED, (error, traceback.format_exc()))
        else:
            send(DONE, None)


def _die_with_parent() -> None:
    # A killed parent must not leave workers behind that write into a workspace which the next run already uses.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
