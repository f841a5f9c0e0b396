"""Is one file of a workspace what was written, and is one shard what its sidecar says?

Decisions. The bytes come first: a file is hashed in one pass of flat memory, and only one that is as it was written is
opened, because one flipped byte can keep the HDF5 library busy for ever. Then the structure is read (see
`pipelines.cache.contents`) and held against what the sidecar remembers of the making. Whatever is wrong becomes a
reason, never an exception: the check goes on with the next file.
"""

import hashlib
import json
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipelines.cache.contents import Contents, contents_of
from pipelines.errors import DamagedFile
from pipelines.stages.shards.unit import Outcome, ShardKind
from pipelines.workspace import is_as_written, read_sidecar, sidecar

_BLOCK = 1 << 20
_CLIPS, _OUTCOME = TypeAdapter(tuple[str, ...]), TypeAdapter(Outcome)
_DETAILS = tuple(field.name for field in fields(Outcome))
Told = Callable[[int], object]
"""Told the number of bytes that were read."""


@dataclass(frozen=True, kw_only=True)
class CheckedShard:
    """One shard, checked.

    Attributes:
        fault: what is wrong with it, as the rest of a sentence that begins with its name; empty where it is sound.
        clips: those it was made from, in order; none where that is not known.
        outcome: what its sidecar remembers of them.
    """

    fault: str = ""
    clips: tuple[str, ...] = ()
    outcome: Outcome


def check_shard(path: Path, kind: ShardKind, told: Told) -> CheckedShard:
    """Hash a shard, read its structure, and compare both with its sidecar."""
    fault = fault_of(path, told)
    if fault:
        return CheckedShard(fault=fault, outcome=Outcome())
    try:
        clips, outcome = _recall(read_sidecar(path) or {})
        contents = contents_of(path, kind.layout, kind.modalities)
    except DamagedFile as error:
        return CheckedShard(fault=error.reason, outcome=Outcome())
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "clips"
        return CheckedShard(fault=f"has a sidecar whose {where} cannot be used", outcome=Outcome())
    return CheckedShard(fault=_disagreement(contents, clips, outcome), clips=clips, outcome=outcome)


def fault_of(path: Path, told: Told) -> str:
    """Why an artifact is not what its sidecar says was written; empty where it is.

    Args:
        path: the artifact.
        told: told the bytes of the file, also where they need not be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return "is no file"
        record = read_sidecar(path)
        known = {} if record is None else record["artifact"]
        if record is None or not is_as_written(record) or status.st_size != known["size"]:
            told(status.st_size)
            return _why_not(record, path, status.st_size)
        return "" if _digest(path, told) == known["sha256"] else "is not what was written: its SHA-256 differs"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _why_not(record: dict[str, Any] | None, path: Path, size: int) -> str:
    if record is None:
        return "has a sidecar that cannot be read" if sidecar(path).exists() else "has no sidecar: its run was killed"
    if not is_as_written(record):
        return "has a sidecar that is not what was written"
    return f"is not what was written: {size:,} bytes instead of {record['artifact']['size']:,}"


def _digest(path: Path, told: Told) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            told(len(block))
    return digest.hexdigest()


def _recall(record: dict[str, Any]) -> tuple[tuple[str, ...], Outcome]:
    """The clips that a shard was made from, and its outcome. Raises ValidationError for values of another type."""
    details = {name: record["details"].get(name) for name in _DETAILS}
    clips = _CLIPS.validate_json(json.dumps(record["recipe"].get("clips")), strict=True)
    return clips, _OUTCOME.validate_json(json.dumps(details), strict=True)


def _disagreement(contents: Contents, clips: tuple[str, ...], outcome: Outcome) -> str:
    """What a shard holds and its sidecar does not know, or the other way round."""
    told_of = {*outcome.coverage, *outcome.attributes}
    if stray := _first(told_of - set(clips)):
        return f"has a sidecar that tells of clip {stray}, which it was not made from"
    if contents.clips is not None:
        if lost := _first(told_of - set(contents.clips)):
            return f"lacks clip {lost}"
        if strange := _first(set(contents.clips) - told_of):
            return f"holds clip {strange}, which its sidecar does not tell of"
    for clip, shares in outcome.coverage.items():
        for modality, share in shares.items():
            if not 0 <= share <= 1:
                return f"has a sidecar with a coverage of {share:g} of clip {clip}, {modality}"
            if share > 0 and not contents.holds(clip, modality):
                return f"has nothing of clip {clip}, {modality}, of which it should have {100 * share:.0f} %"
    return ""


def _first(names: Iterable[str]) -> str:
    """The first of some names, and how many more there are; empty for none."""
    ordered = sorted(names)
    return ordered[0] + (f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else "") if ordered else ""
