"""Artifacts: files that know what they depend on, and are made when that has changed.

A unit of work is anything that can be pickled; a stage's `artifacts_of(unit)` lists what it consists of, in order.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pipelines.stages.team import Team
from pipelines.stages.workers import Send
from pipelines.workspace import Fingerprint, Recording, relative, remove_partials, stale_reason, status_of
from pipelines.workspace.sidecars import Look

log = logging.getLogger("mtpkd")
Unit = TypeVar("Unit")


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


def make(unit: Unit, send: Send, *, artifacts_of: Callable[[Unit], list[Artifact]]) -> None:
    """Make what is stale of a unit; each artifact is looked at again, as it may have been made since."""
    for artifact in artifacts_of(unit):
        send("begin", str(artifact.path))
        if artifact.stale_reason() is not None:
            _write(artifact, send)


def make_together(unit: Unit, send: Send, *, artifacts_of: Callable[[Unit], list[Artifact]], team: Team) -> None:
    """The same by all processes of a team, of which the first one decides, writes and speaks."""
    for artifact in artifacts_of(unit):
        is_stale = artifact.stale_reason() is not None
        if not team.told([is_stale])[0]:
            continue
        if team.leads:
            _write(artifact, send, team if artifact.trained else None)
        elif artifact.trained:
            artifact.build(Job(artifact.path, Recording(artifact.fingerprint).key, _say_nothing, team))


def _write(artifact: Artifact, send: Send, team: Team | None = None) -> None:
    for path in (artifact.path, *artifact.beside):
        remove_partials(path)
    recording = Recording(artifact.fingerprint)
    details = artifact.build(Job(artifact.path, recording.key, send, team))
    for path in artifact.beside:
        recording.finish(path)
    recording.finish(artifact.path, **details)


def _say_nothing(kind: str, value: Any) -> None:
    """Nobody listens."""


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
