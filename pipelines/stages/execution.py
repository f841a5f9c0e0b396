"""Making artifacts: which are stale and why, in how many processes, with a progress bar.

A unit of work is anything that can be pickled; a stage's `artifacts_of(unit)` lists what it consists of, in order.
Units are independent of each other, so anybody can do them: this process, others of this machine, or those of a cluster
(see `executors`). A unit checks each of its artifacts again before building it: a killed run loses at most the
artifacts in flight.

Units that read what strangers recorded are supervised: a clip that takes for ever, or that ends the process which reads
it, costs that clip and nothing else.
"""

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from pipelines.errors import MtpkdError
from pipelines.stages.executors import AnyCrew, Executor, Workers
from pipelines.stages.workers import Crew, Death, Logged, Send, Task
from pipelines.workspace import Fingerprint, Recording, relative, remove_partials, stale_reason, status_of
from pipelines.workspace.sidecars import Look

log = logging.getLogger("mtpkd")
Unit = TypeVar("Unit")
_MACHINES = 5
"""So many machines may be lost while they make one thing."""
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"


@dataclass(frozen=True)
class Job:
    """What a builder is given.

    Attributes:
        path: where the artifact belongs.
        key: identifies its settings and inputs, for state that outlives a killed run.
        send: told ("start", clip) before a clip's files are read, ("advance", clips) when so many are done, and
            ("shrink", clips) when so many need not be, and ("log", anything) to be kept by whoever asked for the work.
    """

    path: Path
    key: str
    send: Send

    def start(self, clip: str) -> None:
        """This clip is next."""
        self.send("start", clip)

    def advance(self, clips: int) -> None:
        """So many clips are done."""
        self.send("advance", clips)

    def shrink(self, clips: int) -> None:
        """So many clips of the announced cost are not needed."""
        self.send("shrink", clips)

    def log(self, value: Any) -> None:
        """This is to be kept."""
        self.send("log", value)


@dataclass(frozen=True)
class Artifact:
    """One file of a workspace.

    Attributes:
        path: where it lies.
        fingerprint: what it depends on.
        build: writes it, whole or not at all; returns details for its sidecar.
        cost: clips that building it will report.
        beside: further files that `build` writes; where one is not as it was written, all are made again.
    """

    path: Path
    fingerprint: Fingerprint
    build: Callable[[Job], dict[str, Any]]
    cost: int
    beside: tuple[Path, ...] = ()

    def stale_reason(self, look: Look = status_of) -> str | None:
        """See `workspace.stale_reason`, of every file of it."""
        reasons = (stale_reason(path, self.fingerprint, look) for path in (self.path, *self.beside))
        return next((reason for reason in reasons if reason is not None), None)


@dataclass(frozen=True)
class Supervision:
    """How one clip is kept from stopping all others.

    Attributes:
        limit_s: longest time that a clip may take, or that nothing is heard between two.
        without: (unit, clip, reason) -> the same unit with that clip left alone, and recorded as failed.
    """

    limit_s: float
    without: Callable[[Any, str, str], Any]


def run_units(
    label: str,
    units: Sequence[Unit],
    artifacts_of: Callable[[Unit], list[Artifact]],
    *,
    workers: Workers,
    root: Path,
    supervision: Supervision | None = None,
    keep: Callable[[Any], None] = lambda value: None,
) -> int:
    """Make every stale artifact of the units.

    Args:
        label: the stage, as the user knows it.
        artifacts_of: a function of a module, so that another process can import it.
        workers: processes. 0 works in this one, and so does 1 where nothing is supervised. Or an executor.
        root: the workspace's folder, for shorter names in messages.
        supervision: for units that read files of a corpus.
        keep: given in this process what the units log.

    Returns:
        How many units had anything to do.

    Raises:
        MtpkdError: as raised by a unit, or when a worker process was killed.
    """
    pending, cost, first = _stale(units, artifacts_of, root)
    if not pending:
        log.info("%s: up to date, nothing to do (%d of %d skipped)", label, len(units), len(units))
        return 0
    log.info("%s: %d of %d to make\n  %s", label, len(pending), len(units), first)
    started = time.monotonic()
    with tqdm(total=cost, desc=label, unit="clip", disable=None, bar_format=_BAR, delay=1, leave=False) as bar:
        _work(pending, artifacts_of, workers, partial(_hear, bar, keep), supervision, root)
    log.info("%s: done in %.0f s", label, time.monotonic() - started)
    return len(pending)


def _stale(
    units: Sequence[Unit], artifacts_of: Callable[[Unit], list[Artifact]], root: Path
) -> tuple[list[Unit], int, str]:
    """Units that have something to do, how many clips they will report, and the first artifact with its reason."""
    pending, cost, first = [], 0, ""
    look = cache(status_of)  # nothing is written meanwhile, and all folds are made from the same shards
    for unit in units:
        stale = [(a, reason) for a in artifacts_of(unit) if (reason := a.stale_reason(look))]
        if stale:
            pending.append(unit)
            cost += sum(artifact.cost for artifact, _ in stale)
            first = first or f"{relative(stale[0][0].path, root)}: {stale[0][1]}"
    return pending, cost, first


def warn_of_stale(
    label: str, units: Sequence[Unit], artifacts_of: Callable[[Unit], list[Artifact]], *, root: Path
) -> None:
    """Say when what an earlier stage made is not what the recipe asks for now; it is used all the same."""
    look = cache(status_of)
    for unit in units:
        for artifact in artifacts_of(unit):
            reason = artifact.stale_reason(look)
            if reason is not None:
                place = relative(artifact.path, root)
                log.warning("warning: %s does not match the recipe\n  (%s): run `mtpkd %s` again", place, reason, label)
                return


def default_workers() -> int:
    """One process a processor that this one may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make(unit: Any, send: Send, *, artifacts_of: Callable[[Any], list[Artifact]]) -> None:
    for artifact in artifacts_of(unit):
        send("begin", str(artifact.path))
        if artifact.stale_reason() is None:
            continue
        for path in (artifact.path, *artifact.beside):
            remove_partials(path)
        recording = Recording(artifact.fingerprint)
        details = artifact.build(Job(artifact.path, recording.key, send))
        for path in artifact.beside:
            recording.finish(path)
        recording.finish(artifact.path, **details)


def _work(
    units: Sequence[Any],
    artifacts_of: Callable[[Any], list[Artifact]],
    workers: Workers,
    hear: Send,
    supervision: Supervision | None,
    root: Path,
) -> None:
    task = partial(_make, artifacts_of=artifacts_of)
    if isinstance(workers, int) and min(workers, len(units)) <= (supervision is None):
        for unit in units:
            task(unit, hear)
        return
    with _crew(workers, len(units), task, supervision, root) as crew:
        _follow(crew, units, artifacts_of, hear, supervision, forgiving=isinstance(workers, Executor))


def _crew(
    workers: Workers, most: int, task: Task, supervision: Supervision | None, root: Path
) -> AbstractContextManager[AnyCrew]:
    limit_s = supervision.limit_s if supervision else None
    if isinstance(workers, Executor):
        return workers.crew(task, limit_s=limit_s, root=root)
    return Crew(min(workers, most), task, limit_s=limit_s)


def _follow(
    crew: AnyCrew,
    units: Sequence[Any],
    artifacts_of: Callable[[Any], list[Artifact]],
    hear: Send,
    supervision: Supervision | None,
    *,
    forgiving: bool,
) -> None:
    """See a crew through its work; `forgiving`: one death is an accident also where nothing is supervised."""
    deaths: Counter[tuple[str, str, bool]] = Counter()
    for event in crew.work(units):
        if not isinstance(event, Death):
            hear(*(("log", event.value) if isinstance(event, Logged) else (event.kind, event.clips)))
            continue
        hear("advance", -event.advanced)
        place = event.place or str(artifacts_of(event.unit)[0].path)
        deaths[place, event.clip, event.lost] += 1
        times = deaths[place, event.clip, event.lost]
        if supervision is not None and event.clip and not event.lost and (event.late or times > 1):
            reason = _why(event, supervision.limit_s)
            log.warning("warning: %s: %s", event.clip, reason)
            crew.add(supervision.without(event.unit, event.clip, reason))
        elif event.lost and times < _MACHINES:
            log.warning("warning: a machine was lost at %s: trying it on another", event.clip or place)
            crew.add(event.unit)
        elif not event.lost and (supervision is not None or forgiving) and times == 1:
            how = "was silent for too long" if event.late else "was killed"
            log.warning("warning: a worker process %s at %s: trying it again", how, event.clip or place)
            crew.add(event.unit, alone=True)
        else:
            raise MtpkdError(_explained(event, place, supervision))


def _explained(death: Death, place: str, supervision: Supervision | None) -> str:
    if death.lost:
        return (
            f"{_MACHINES} machines were lost while they made {place}: look at what happened to them, and run the "
            "command again, it goes on where it stopped"
        )
    if death.late and supervision is not None:
        return (
            f"a worker process said nothing for {supervision.limit_s:g} s while it made {place}, twice: see "
            "whether the disks of workspace and corpus still answer, and run the command again, it goes on where it "
            "stopped; a longer --clip-timeout gives it more time"
        )
    return (
        f"a worker process was killed while it made {place}, most often because memory ran out: run the command again, "
        "it goes on where it stopped; --workers 1 needs the least memory"
    )


def _why(death: Death, limit_s: float) -> str:
    if death.late:
        return f"took longer than --clip-timeout {limit_s:g} s allows"
    code = death.exit_code
    how = "" if code is None else f" by {signal.Signals(-code).name}" if code < 0 else f" with exit status {code}"
    return f"its reader ended twice{how}: memory ran out, or it crashes its decoder"


def _hear(bar: tqdm, keep: Callable[[Any], None], kind: str, value: Any) -> None:
    if kind == "log":
        keep(value)
    elif kind == "advance":
        bar.update(value)
    elif kind == "shrink":
        bar.total = max(bar.n, (bar.total or 0) - value)
        bar.refresh()
