"""Doing units of work: which are stale and why, who makes them, with a progress bar.

Units are independent of each other, so anybody can do them: this process, others of this machine, those of a cluster
(see `executors`), or several that train each model together (see `team`). A unit checks each of its artifacts again
before building it: a killed run loses at most the artifacts in flight.

Units that read what strangers recorded are supervised: a clip that takes for ever, or that ends the process which reads
it, costs that clip and nothing else.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from pipelines.stages.artifacts import Artifact, make, make_together
from pipelines.stages.executors import Executor, Workers
from pipelines.stages.supervision import Supervision, follow
from pipelines.stages.team import Team
from pipelines.stages.workers import AnyCrew, Crew, Send, Task
from pipelines.workspace import relative, status_of

log = logging.getLogger("mtpkd")
Unit = TypeVar("Unit")
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"


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
    """Make every stale artifact of the units; returns how many units had anything to do.

    Args:
        label: the stage, as the user knows it.
        artifacts_of: a function of a module, so that another process can import it.
        workers: processes. 0 works in this one, and so does 1 where nothing is supervised. Or an executor, or the team
            that this process is of.
        root: the workspace's folder, for shorter names in messages.
        supervision: for units that read files of a corpus.
        keep: given in this process what the units log.

    Raises:
        MtpkdError: as raised by a unit, or when a worker process was killed.
    """
    pending, cost, first = _stale(units, artifacts_of, root)
    if isinstance(workers, Team):
        pending = workers.chosen(units, pending)
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


def default_workers() -> int:
    """One process a processor that this one may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work(
    units: Sequence[Any],
    artifacts_of: Callable[[Any], list[Artifact]],
    workers: Workers,
    hear: Send,
    supervision: Supervision | None,
    root: Path,
) -> None:
    task = partial(make, artifacts_of=artifacts_of)
    if isinstance(workers, Team):
        task, workers = partial(make_together, artifacts_of=artifacts_of, team=workers), 0
    if isinstance(workers, int) and min(workers, len(units)) <= (supervision is None):
        for unit in units:
            task(unit, hear)
        return
    with _crew(workers, len(units), task, supervision, root) as crew:
        follow(crew, units, artifacts_of, hear, supervision, forgiving=isinstance(workers, Executor))


def _crew(
    workers: int | Executor, most: int, task: Task, supervision: Supervision | None, root: Path
) -> AbstractContextManager[AnyCrew]:
    limit_s = supervision.limit_s if supervision else None
    if isinstance(workers, Executor):
        return workers.crew(task, limit_s=limit_s, root=root)
    return Crew(min(workers, most), task, limit_s=limit_s)


def _hear(bar: tqdm, keep: Callable[[Any], None], kind: str, value: Any) -> None:
    if kind == "log":
        keep(value)
    elif kind == "advance":
        bar.update(value)
    elif kind == "shrink":
        bar.total = max(bar.n, (bar.total or 0) - value)
        bar.refresh()
