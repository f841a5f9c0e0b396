"""What shaped an artifact, and whether it must be made again.

Every artifact `x` has a sidecar `x.json`: the recipe keys that shaped it, the identity of every file it was made from,
the seed, the package version, its own digest and the wall time. An artifact is written beside its place and renamed,
then its sidecar: a run killed at any moment leaves a whole artifact with a sidecar, or one that is made again.

Files are identified by SHA-256. As git does, a file whose size and modification time are as recorded is not read
again; one that was only copied or touched is re-hashed and still matches.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines import __version__
from pipelines.workspace.writing import write_text


@dataclass(frozen=True)
class Fingerprint:
    """What an artifact depends on.

    Attributes:
        recipe: the settings that shape it, as nested plain values.
        inputs: name -> file it is made from; a file that does not exist is recorded as absent.
        seed: seed of the training, or None where nothing is drawn.
    """

    recipe: Mapping[str, Any]
    inputs: Mapping[str, Path] = field(default_factory=dict)
    seed: int | None = None


Look = Callable[[Path], os.stat_result | None]
"""See `status_of`."""


def sidecar(path: Path) -> Path:
    """The JSON file that belongs to an artifact."""
    return path.with_name(path.name + ".json")


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """The sidecar's contents, or None where it is absent, not JSON, or not what `Recording` writes."""
    try:
        record = json.loads(sidecar(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError):
        return None
    return record if _is_record(record) else None


def is_as_written(record: Mapping[str, Any]) -> bool:
    """Whether no value of a sidecar changed since it was written; of those without a checksum nobody can say."""
    return record.get(_CHECKSUM) in (None, _checksum(record))


def identify(path: Path) -> dict[str, Any] | None:
    """SHA-256, size and modification time of a file, or None where there is none.

    An artifact that is as its own sidecar says is not read again: shards are large, and many things depend on them.
    """
    try:
        status = path.stat()
        return _identify(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    except FileNotFoundError:
        return None


@lru_cache(maxsize=4096)
def _identify(path: Path, node: int, size: int, modified: int, changed: int) -> dict[str, Any]:
    """Once a process for a file that stays what it is: every fold is made from the same shards."""
    recorded = (read_sidecar(path) or {}).get("artifact")
    if recorded and (size, modified) == (recorded["size"], recorded["mtime_ns"]):
        return recorded
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"sha256": digest, "size": size, "mtime_ns": modified}


def status_of(path: Path) -> os.stat_result | None:
    """What the system says of a file, or None where there is none."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def is_unchanged(path: Path, recorded: Mapping[str, Any] | None, look: Look = status_of) -> bool:
    """Whether a file is still the one that was recorded."""
    status = look(path)
    if status is None or recorded is None:
        return status is None and recorded is None
    if status.st_size != recorded["size"]:
        return False
    if status.st_mtime_ns == recorded["mtime_ns"]:
        return True
    current = identify(path)
    return current is not None and current["sha256"] == recorded["sha256"]


def stale_reason(path: Path, fingerprint: Fingerprint, look: Look = status_of) -> str | None:
    """Why an artifact must be made (again), in words for the user, or None where it is as it should be.

    Args:
        path: the artifact.
        fingerprint: what it depends on now.
        look: tells the state of a file; one that remembers spares asking for an input of many artifacts many times.
    """
    if look(path) is None:
        return "not there yet"
    record = read_sidecar(path)
    if record is None:
        return "an earlier run was interrupted"
    if record["version"] != __version__:
        return f"made by mtpkd {record['version']}, this is {__version__}"
    if record["seed"] != fingerprint.seed:
        return f"made with seed {record['seed']}, now {fingerprint.seed}"
    change = _first_difference(record["recipe"], _jsonable(fingerprint.recipe))
    if change is not None:
        return change
    if set(record["inputs"]) != set(fingerprint.inputs):
        names = sorted(set(record["inputs"]) ^ set(fingerprint.inputs))
        return f"made from other inputs ({names[0]}{', ...' if len(names) > 1 else ''})"
    changed = [
        name for name, file in fingerprint.inputs.items() if not is_unchanged(file, record["inputs"][name], look)
    ]
    if changed:
        return f"{changed[0]} changed{f', and {len(changed) - 1} more' if len(changed) > 1 else ''}"
    return None if is_unchanged(path, record["artifact"], look) else "its content is not what was written"


class Recording:
    """Made when the work on an artifact starts, so that inputs are identified as they were read.

    Example:
        recording = Recording(fingerprint)
        with atomic_path(path) as partial: ...
        recording.finish(path, clips=12)
    """

    def __init__(self, fingerprint: Fingerprint) -> None:
        self._started = time.monotonic()
        self._inputs = dict(fingerprint.inputs)
        self._record = {
            "recipe": _jsonable(fingerprint.recipe),
            "inputs": {name: identify(file) for name, file in sorted(fingerprint.inputs.items())},
            "seed": fingerprint.seed,
            "version": __version__,
        }

    @property
    def key(self) -> str:
        """Identifies settings, seed and inputs by their content: equal keys mean equal work."""
        inputs = {name: known and known["sha256"] for name, known in self._record["inputs"].items()}
        return hashlib.sha256(json.dumps({**self._record, "inputs": inputs}, sort_keys=True).encode()).hexdigest()

    def finish(self, path: Path, **details: Any) -> None:
        """Write the sidecar of the finished artifact, with `details` of its making under their own key.

        An input that vanished or changed meanwhile is recorded as absent: nobody knows what was read of it, and the
        artifact is made again once it is there.
        """
        wall_time = round(time.monotonic() - self._started, 3)
        known = self._record["inputs"]
        inputs = {name: known[name] if is_unchanged(file, known[name]) else None for name, file in self._inputs.items()}
        made = {"artifact": identify(path), "wall_time_s": wall_time, "details": _jsonable(details)}
        record = {**self._record, "inputs": inputs, **made}
        record[_CHECKSUM] = _checksum(record)
        write_text(sidecar(path), json.dumps(record, indent=1, sort_keys=True) + "\n")


_CHECKSUM = "checksum"
_FIELDS = {"recipe": dict, "inputs": dict, "version": str, "artifact": dict, "details": dict}


def _checksum(record: Mapping[str, Any]) -> str:
    values = {name: value for name, value in record.items() if name != _CHECKSUM}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _is_record(record: Any) -> bool:
    if not isinstance(record, dict) or "seed" not in record:
        return False
    if not all(isinstance(record.get(name), kind) for name, kind in _FIELDS.items()):
        return False
    return all(known is None or _is_identity(known) for known in (record["artifact"], *record["inputs"].values()))


def _is_identity(known: Any) -> bool:
    # Asked for every input of every artifact: spelled out, it takes a third of the time of a loop.
    return (
        isinstance(known, dict)
        and isinstance(known.get("sha256"), str)
        and isinstance(known.get("size"), int)
        and isinstance(known.get("mtime_ns"), int)
    )


def _jsonable(values: Any) -> Any:
    return json.loads(json.dumps(values))


def _first_difference(old: Any, new: Any, key: str = "") -> str | None:
    if old == new:
        return None
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(set(old) | set(new)):
            difference = _first_difference(old.get(name), new.get(name), f"{key}.{name}" if key else name)
            if difference is not None:
                return difference
        return None
    return f"{key} was {_short(old)}, is {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 24 else text[:21] + "..."
