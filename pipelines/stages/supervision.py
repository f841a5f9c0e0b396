"""Seeing a crew through its work: what the end of a worker means, and whether its unit is tried again."""

import logging
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.errors import MtpkdError
from pipelines.stages.artifacts import Artifact
from pipelines.stages.workers import AnyCrew, Death, Logged, Send

log = logging.getLogger("mtpkd")
_MACHINES = 5
"""So many machines may be lost while they make one thing."""


@dataclass(frozen=True)
class Supervision:
    """How one clip is kept from stopping all others.

    Attributes:
        limit_s: longest time that a clip may take, or that nothing is heard between two.
        without: (unit, clip, reason) -> the same unit with that clip left alone, and recorded as failed.
    """

    limit_s: float
    without: Callable[[Any, str, str], Any]


def follow(
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
            f"{_MACHINES} machines were lost while they made {place}: look at what happened to them, or give jobs of "
            "Slurm a longer --time, and run the command again, it goes on where it stopped"
        )
    if death.late and supervision is not None:
        return (
            f"a worker process said nothing for {supervision.limit_s:g} s while it made {place}, twice: see "
            "whether the disks of workspace and corpus still answer, and run the command again, it goes on where it "
            "stopped; a longer --clip-timeout gives it more time"
        )
    return (
        f"a worker process ended{_by(death)} while it made {place}, most often because memory ran out: run the "
        "command again, it goes on where it stopped; --workers 1 needs the least memory"
    )


def _why(death: Death, limit_s: float) -> str:
    if death.late:
        return f"took longer than --clip-timeout {limit_s:g} s allows"
    return f"its reader ended twice{_by(death)}: memory ran out, or it crashes its decoder"


def _by(death: Death) -> str:
    code = death.exit_code
    return "" if code is None else f" by {signal.Signals(-code).name}" if code < 0 else f" with exit status {code}"
