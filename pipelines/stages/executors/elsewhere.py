"""What crews on other machines have in common: who works on what, what they said of it, and what their end means.

They differ in how work is handed over, how they are heard, and how they are stopped. Those who go down with their
machine, or are told to leave it, are told apart from those who fall over their work.
"""

import os
import socket
import traceback
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from pipelines import __version__
from pipelines.errors import MtpkdError
from pipelines.stages.workers import DONE, FAILED, Account, AnyCrew, Event, Send, Task, raise_again

DIED = "died"
"""Said of a worker that ended before its work was done; the value is whether it lost its machine."""

Word = tuple[int, str, Any]
"""Number of an assignment, and what was said in it: what `Send` takes, DONE, FAILED or DIED."""


@dataclass(frozen=True)
class Site:
    """Where work is at home: what another process must share to do it.

    Attributes:
        folder: that relative paths begin in.
        root: of the workspace.
        version: of this package.
        settings: environment variables of this package.
    """

    folder: Path
    root: Path
    version: str
    settings: tuple[tuple[str, str], ...]

    @classmethod
    def here(cls, root: Path) -> "Site":
        """This process' own."""
        known = tuple((name, value) for name, value in os.environ.items() if name.startswith("MTPKD_"))
        return cls(Path.cwd(), root.absolute(), __version__, known)

    def enter(self) -> None:
        """Be at home. Raises MtpkdError where that is impossible."""
        machine = socket.gethostname()
        if self.version != __version__:
            raise MtpkdError(
                f"{machine} has mtpkd {__version__}, and the work is that of {self.version}: install the same version "
                "on all machines"
            )
        for folder in (self.folder, self.root):
            if not folder.is_dir():
                raise MtpkdError(
                    f"{machine} has no folder {folder}: all machines must see the workspace and the corpus in the "
                    "same place, on a disk that they share"
                )
        os.chdir(self.folder)
        os.environ.update(self.settings)


def attend(unit: Any, task: Task, site: Site, send: Send) -> bool:
    """Do a unit in the process of a worker, and say how it ended; whether it ended well."""
    try:
        site.enter()
        task(unit, send)
    except Exception as error:
        send(FAILED, (error, f"on {socket.gethostname()}\n{traceback.format_exc()}"))
        return False
    send(DONE, None)
    return True


@dataclass
class Assignment:
    """Units that one worker does one after the other."""

    waiting: deque[Any]
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        self.account = Account(self.waiting.popleft())

    def next(self) -> bool:
        """Whether there is another unit; it is what they are at now."""
        if not self.waiting:
            return False
        self.account = Account(self.waiting.popleft())
        return True


class Elsewhere(AnyCrew):
    """A crew whose workers are on other machines; leaving it stops those that are at work."""

    def __init__(self, *, limit_s: float | None) -> None:
        super().__init__(limit_s=limit_s)
        self._running: dict[int, Assignment] = {}
        self._assigned = 0

    def __enter__(self) -> "Elsewhere":
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close(failed=error is not None)

    def work(self, units: Iterable[Any]) -> Iterator[Event]:
        """See AnyCrew."""
        self._waiting.extend(units)
        while self._hand_out():
            for number, kind, value in self._listen():
                if number in self._running:  # or one that was told to stop spoke before it heard
                    yield from self._hear(number, kind, value)
            yield from self._stop_late()

    def _hand_out(self) -> bool:
        """Hand over as much as there is room for; whether anybody has anything."""
        if self._alone and not self._waiting and not self._running:
            self._waiting.append(self._alone.popleft())
        if self._waiting:
            for units in self._portions(self._waiting):
                self._running[self._assigned] = Assignment(deque(units))
                self._assigned += 1
        return bool(self._running or self._waiting)

    def _hear(self, number: int, kind: str, value: Any) -> Iterator[Event]:
        work = self._running[number]
        if kind == FAILED:
            raise_again(*value)
        if kind == DIED:
            yield self._bury(number, late=False, lost=value)
        elif kind == DONE:
            if not work.next():
                del self._running[number]
        else:
            yield from work.account.told(kind, value)

    def _stop_late(self) -> Iterator[Event]:
        for number, work in list(self._running.items()) if self._limit_s is not None else ():
            if work.account.is_late(self._limit_s or 0):
                self._stop(number)
                yield self._bury(number, late=True, lost=False)

    def _bury(self, number: int, *, late: bool, lost: bool) -> Event:
        work = self._running.pop(number)
        self._waiting.extend(work.waiting)
        return work.account.death(late=late, lost=lost)

    @abstractmethod
    def _open(self) -> None:
        """Reach the other machines."""

    @abstractmethod
    def _close(self, *, failed: bool) -> None:
        """Stop all that are at work, and leave nothing behind."""

    @abstractmethod
    def _portions(self, waiting: deque[Any]) -> Iterator[list[Any]]:
        """Take what there is room for, and hand it over in portions numbered from `_assigned` on."""

    @abstractmethod
    def _listen(self) -> Iterable[Word]:
        """What was said since, after waiting a little for it."""

    @abstractmethod
    def _stop(self, number: int) -> None:
        """End whoever has this assignment, now."""
