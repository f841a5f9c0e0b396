"""Making artifacts: which are stale and why, in how many processes, with a progress bar.

A unit of work is anything that can be pickled; a stage's `artifacts_of(unit)` lists what it consists of, in order.
Units are independent of each other, so any executor can run them; here they run in local processes, or in this one. A
unit checks each of its artifacts again before building it: a killed run loses at most the artifacts in flight.
"""

import logging
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from pipelines.errors import MtpkdError
from pipelines.workspace import Fingerprint, Recording, stale_reason

log = logging.getLogger("mtpkd")
Unit = TypeVar("Unit")
_POLL_S = 0.2
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"


@dataclass(frozen=True)
class Job:
    """What a builder is given.

    Attributes:
        path: where the artifact belongs.
        key: identifies its settings and inputs, for state that outlives a killed run.
        send: told ("advance", clips) when so many are done, ("shrink", clips) when so many need not be.
    """

    path: Path
    key: str
    send: Callable[[str, int], None]

    def advance(self, clips: int) -> None:
        """So many clips are done."""
        self.send("advance", clips)

    def shrink(self, clips: int) -> None:
        """So many clips of the announced cost are not needed."""
        self.send("shrink", clips)


@dataclass(frozen=True)
class Artifact:
    """One file of a workspace.

    Attributes:
        path: where it lies.
        fingerprint: what it depends on.
        build: writes it, whole or not at all; returns details for its sidecar.
        cost: clips that building it will report.
    """

    path: Path
    fingerprint: Fingerprint
    build: Callable[[Job], dict[str, Any]]
    cost: int


def run_units(
    label: str, units: Sequence[Unit], artifacts_of: Callable[[Unit], list[Artifact]], *, workers: int, root: Path
) -> int:
    """Make every stale artifact of the units.

    Args:
        label: the stage, as the user knows it.
        artifacts_of: a function of a module, so that another process can import it.
        workers: processes; 1 works in this one.
        root: the workspace's folder, for shorter names in messages.

    Returns:
        How many units had anything to do.

    Raises:
        MtpkdError: as raised by a unit, or when a worker process was killed.
    """
    pending, cost, first = [], 0, ""
    for unit in units:
        stale = [(a, reason) for a in artifacts_of(unit) if (reason := stale_reason(a.path, a.fingerprint))]
        if stale:
            pending.append(unit)
            cost += sum(artifact.cost for artifact, _ in stale)
            first = first or f"{_relative(stale[0][0].path, root)}: {stale[0][1]}"
    if not pending:
        log.info("%s: up to date, nothing to do (%d of %d skipped)", label, len(units), len(units))
        return 0
    log.info("%s: %d of %d to make\n  %s", label, len(pending), len(units), first)
    started = time.monotonic()
    with tqdm(total=cost, desc=label, unit="clip", disable=None, bar_format=_BAR, delay=1, leave=False) as bar:
        if workers == 1 or len(pending) == 1:
            for unit in pending:
                _make(unit, artifacts_of, partial(_show, bar))
        else:
            _run_in_processes(pending, artifacts_of, min(workers, len(pending)), bar)
    log.info("%s: done in %.0f s", label, time.monotonic() - started)
    return len(pending)


def warn_of_stale(
    label: str, units: Sequence[Unit], artifacts_of: Callable[[Unit], list[Artifact]], *, root: Path
) -> None:
    """Say when what an earlier stage made is not what the recipe asks for now; it is used all the same."""
    for unit in units:
        for artifact in artifacts_of(unit):
            reason = stale_reason(artifact.path, artifact.fingerprint)
            if reason is not None:
                place = _relative(artifact.path, root)
                log.warning("warning: %s does not match the recipe\n  (%s): run `mtpkd %s` again", place, reason, label)
                return


def default_workers() -> int:
    """One process a processor that this one may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make(unit: Any, artifacts_of: Callable[[Any], list[Artifact]], send: Callable[[str, int], None]) -> None:
    for artifact in artifacts_of(unit):
        if stale_reason(artifact.path, artifact.fingerprint) is None:
            continue
        recording = Recording(artifact.fingerprint)
        details = artifact.build(Job(artifact.path, recording.key, send))
        recording.finish(artifact.path, **details)


def _run_in_processes(
    units: Sequence[Any], artifacts_of: Callable[[Any], list[Artifact]], workers: int, bar: tqdm
) -> None:
    context = multiprocessing.get_context("spawn")
    messages = context.Queue()
    others = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_initialise, initargs=(messages,)) as pool:
        try:
            waiting: set[Future] = {pool.submit(_work, unit, artifacts_of) for unit in units}
            while waiting:
                done, waiting = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                _drain(messages, bar)
                for future in done:
                    future.result()
        except BaseException as error:
            # The pool waits for its workers when it is left; one that was starting when another died would never end.
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()
            if isinstance(error, BrokenProcessPool | BrokenPipeError):
                raise MtpkdError(
                    "a worker process was killed, most often because memory ran out: run the command again, it goes "
                    "on where it stopped; --workers 1 needs the least memory"
                ) from None
            raise


_messages: Any = None


def _initialise(messages: Any) -> None:
    global _messages  # a worker process has one queue for its whole life
    _messages = messages
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    # A killed parent must not leave workers behind that write into a workspace which the next run already uses.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(unit: Any, artifacts_of: Callable[[Any], list[Artifact]]) -> None:
    _make(unit, artifacts_of, lambda kind, clips: _messages.put((kind, clips)))


def _drain(messages: Any, bar: tqdm) -> None:
    while True:
        try:
            kind, clips = messages.get_nowait()
        except queue.Empty:
            return
        _show(bar, kind, clips)


def _show(bar: tqdm, kind: str, clips: int) -> None:
    if kind == "advance":
        bar.update(clips)
    else:
        bar.total = max(bar.n, (bar.total or 0) - clips)
        bar.refresh()


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
