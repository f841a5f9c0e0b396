"""Making artifacts: which are stale and why, in how many processes, with a progress bar.

A unit of work is anything that can be pickled; a stage's `artifacts_of(unit)` lists what it consists of, in order.
Units are independent of each other, so any executor can run them; here they run in local processes, or in this one. A
unit checks each of its artifacts again before building it: a killed run loses at most the artifacts in flight.

Units that read what strangers recorded are supervised: a clip that takes for ever, or that ends the process which reads
it, costs that clip and nothing else.
"""

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from pipelines.errors import MtpkdError
from pipelines.stages.team import Team
from pipelines.stages.workers import Crew, Death, Logged, Send
from pipelines.workspace import Fingerprint, Recording, relative, remove_partials, stale_reason, status_of
from pipelines.workspace.sidecars import Look

log = logging.getLogger("mtpkd")
Unit = TypeVar("Unit")
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"


@dataclass(frozen=True)
class Job:
    """What a builder is given.

    Attributes:
        path: where the artifact belongs.
        key: identifies its settings and inputs, for state that outlives a killed run.
        send: told ("start", clip) before a clip's files are read, ("advance", clips) when so many are done, and
            ("shrink", clips) when so many need not be, and ("log", anything) to be kept by whoever asked for the work.
        team: the processes that build it together; None where it is this one alone.
    """

    path: Path
    key: str
    send: Send
    team: Team | None = None

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
        trained: whether all processes of a team build it together; what is not, the first one builds alone.
    """

    path: Path
    fingerprint: Fingerprint
    build: Callable[[Job], dict[str, Any]]
    cost: int
    beside: tuple[Path, ...] = ()
    trained: bool = False

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
    workers: int,
    root: Path,
    supervision: Supervision | None = None,
    keep: Callable[[Any], None] = lambda value: None,
    team: Team | None = None,
) -> int:
    """Make every stale artifact of the units; returns how many units had anything to do.

    Args:
        label: the stage, as the user knows it.
        artifacts_of: a function of a module, so that another process can import it.
        workers: processes. 0 works in this one, and so does 1 where nothing is supervised.
        root: the workspace's folder, for shorter names in messages.
        supervision: for units that read files of a corpus.
        keep: given in this process what the units log.
        team: the processes that all do this, together, in place of workers.

    Raises:
        MtpkdError: as raised by a unit, or when a worker process was killed.
    """
    pending, cost, first = _stale(units, artifacts_of, root)
    if team is not None:
        pending = team.chosen(units, pending)
    if not pending:
        log.info("%s: up to date, nothing to do (%d of %d skipped)", label, len(units), len(units))
        return 0
    log.info("%s: %d of %d to make\n  %s", label, len(pending), len(units), first)
    started = time.monotonic()
    with tqdm(total=cost, desc=label, unit="clip", disable=None, bar_format=_BAR, delay=1, leave=False) as bar:
        _work(pending, artifacts_of, min(workers, len(pending)), partial(_hear, bar, keep), supervision, team)
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
        if artifact.stale_reason() is not None:
            _build(artifact, send)


def _build(artifact: Artifact, send: Send, team: Team | None = None) -> None:
    for path in (artifact.path, *artifact.beside):
        remove_partials(path)
    recording = Recording(artifact.fingerprint)
    details = artifact.build(Job(artifact.path, recording.key, send, team))
    for path in artifact.beside:
        recording.finish(path)
    recording.finish(artifact.path, **details)


def _work_together(units: Sequence[Any], artifacts_of: Callable[[Any], list[Artifact]], team: Team, hear: Send) -> None:
    for artifact in (artifact for unit in units for artifact in artifacts_of(unit)):
        is_stale = artifact.stale_reason() is not None
        if not team.told([is_stale])[0]:
            continue
        if team.leads:
            _build(artifact, hear, team if artifact.trained else None)
        elif artifact.trained:
            artifact.build(Job(artifact.path, Recording(artifact.fingerprint).key, _say_nothing, team))


def _say_nothing(kind: str, value: Any) -> None:
    """Of a team, the first process reports."""


def _work(
    units: Sequence[Any],
    artifacts_of: Callable[[Any], list[Artifact]],
    workers: int,
    hear: Send,
    supervision: Supervision | None,
    team: Team | None,
) -> None:
    if team is not None:
        _work_together(units, artifacts_of, team, hear)
        return
    if workers > (supervision is None):
        _run_in_processes(units, artifacts_of, workers, hear, supervision)
        return
    for unit in units:
        _make(unit, hear, artifacts_of=artifacts_of)


def _run_in_processes(
    units: Sequence[Any],
    artifacts_of: Callable[[Any], list[Artifact]],
    workers: int,
    hear: Send,
    supervision: Supervision | None,
) -> None:
    task = partial(_make, artifacts_of=artifacts_of)
    deaths: Counter[tuple[str, str]] = Counter()
    with Crew(workers, task, limit_s=supervision.limit_s if supervision else None) as crew:
        for event in crew.work(units):
            if not isinstance(event, Death):
                hear(*(("log", event.value) if isinstance(event, Logged) else (event.kind, event.clips)))
                continue
            hear("advance", -event.advanced)
            deaths[event.place, event.clip] += 1
            again = deaths[event.place, event.clip] > 1
            if supervision is not None and event.clip and (event.late or again):
                reason = _why(event, supervision.limit_s)
                log.warning("warning: %s: %s", event.clip, reason)
                crew.add(supervision.without(event.unit, event.clip, reason))
            elif supervision is not None and not again:
                how = "was silent for too long" if event.late else "was killed"
                log.warning("warning: a worker process %s at %s: trying it again", how, event.clip or event.place)
                crew.add(event.unit, alone=True)
            else:
                raise MtpkdError(_explained(event, event.place or str(artifacts_of(event.unit)[0].path), supervision))


def _explained(death: Death, place: str, supervision: Supervision | None) -> str:
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
    code = death.exit_code or 0
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
    return f"its reader ended twice {how}: memory ran out, or it crashes its decoder"


def _hear(bar: tqdm, keep: Callable[[Any], None], kind: str, value: Any) -> None:
    if kind == "log":
        keep(value)
    elif kind == "advance":
        bar.update(value)
    elif kind == "shrink":
        bar.total = max(bar.n, (bar.total or 0) - value)
        bar.refresh()
