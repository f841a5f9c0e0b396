"""Where artifacts lie, what shaped them, and whether they must be made again.

Every artifact `x` has a sidecar `x.json`: the recipe keys that shaped it, the identity of every file it was made from,
the seed, the package version, its own digest and the wall time. An artifact is written beside its place and renamed,
then its sidecar: a run killed at any moment leaves a whole artifact with a sidecar, or one that is made again.

Files are identified by SHA-256. As git does, a file whose size and modification time are as recorded is not read
again; one that was only copied or touched is re-hashed and still matches.
"""

import csv
import hashlib
import io
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines import __version__
from pipelines.errors import MissingArtifact


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


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to; renamed over `path` when the block ends well, removed when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, or none."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a whole CSV file, or none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def sidecar(path: Path) -> Path:
    """The JSON file that belongs to an artifact."""
    return path.with_name(path.name + ".json")


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """The sidecar's contents, or None where it is absent or not JSON."""
    try:
        return json.loads(sidecar(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None


def identify(path: Path) -> dict[str, Any] | None:
    """SHA-256, size and modification time of a file, or None where there is none.

    An artifact that is as its own sidecar says is not read again: shards are large, and many things depend on them.
    """
    recorded = (read_sidecar(path) or {}).get("artifact")
    try:
        status = path.stat()
        if recorded and (status.st_size, status.st_mtime_ns) == (recorded["size"], recorded["mtime_ns"]):
            return recorded
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    return {"sha256": digest, "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def is_unchanged(path: Path, recorded: Mapping[str, Any] | None) -> bool:
    """Whether a file is still the one that was recorded."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return recorded is None
    if recorded is None or status.st_size != recorded["size"]:
        return False
    if status.st_mtime_ns == recorded["mtime_ns"]:
        return True
    current = identify(path)
    return current is not None and current["sha256"] == recorded["sha256"]


def stale_reason(path: Path, fingerprint: Fingerprint) -> str | None:
    """Why an artifact must be made (again), in words for the user, or None where it is as it should be."""
    if not path.exists():
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
    changed = [name for name, file in fingerprint.inputs.items() if not is_unchanged(file, record["inputs"][name])]
    if changed:
        return f"{changed[0]} changed{f', and {len(changed) - 1} more' if len(changed) > 1 else ''}"
    return None if is_unchanged(path, record["artifact"]) else "its content is not what was written"


class Recording:
    """Made when the work on an artifact starts, so that inputs are identified as they were read.

    Example:
        recording = Recording(fingerprint)
        with atomic_path(path) as partial: ...
        recording.finish(path, clips=12)
    """

    def __init__(self, fingerprint: Fingerprint) -> None:
        self._started = time.monotonic()
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
        """Write the sidecar of the finished artifact, with `details` of its making under their own key."""
        wall_time = round(time.monotonic() - self._started, 3)
        record = {**self._record, "artifact": identify(path), "wall_time_s": wall_time, "details": details}
        write_text(sidecar(path), json.dumps(record, indent=1, sort_keys=True) + "\n")


_SHARE = "labelled-"


@dataclass(frozen=True)
class Workspace:
    """Paths of everything that a run writes, under one folder.

    A workspace for a share of the labels lies inside the one for all of them and has no cache of its own: what was
    recorded does not depend on who is labelled.
    """

    root: Path

    @property
    def whole(self) -> "Workspace":
        """The workspace for all labels: the one that this one lies in, or itself."""
        outer = Workspace(self.root.parent)
        return outer if self.root.name.startswith(_SHARE) and outer.recipe.exists() else self

    def labelled(self, share: float) -> "Workspace":
        """The workspace for a share of the training groups' labels."""
        return self.whole if share == 1 else Workspace(self.whole.root / f"{_SHARE}{share:g}")

    @property
    def cache(self) -> Path:
        """Where shards and their tables lie."""
        return self.whole.root / "cache"

    @property
    def recipe(self) -> Path:
        """The effective recipe, every setting with a comment."""
        return self.root / "recipe.yaml"

    @property
    def clips(self) -> Path:
        """The table of clips: name, group, label, attributes and coverage of each modality."""
        return self.cache / "clips.csv"

    @property
    def failures(self) -> Path:
        """The table of what could not be used, with file and reason."""
        return self.cache / "failures.csv"

    def shard(self, kind: str, group: str) -> Path:
        """The HDF5 shard of one kind (`faces`, `biosignals`) and group."""
        return self.cache / kind / f"{group}.h5"

    def cell(self, fold: int, seed: int) -> Path:
        """The folder of one fold and seed."""
        return self.root / f"fold-{fold}" / f"seed-{seed}"

    def student(self, fold: int, seed: int, method: str) -> Path:
        """The checkpoint of a student."""
        return self.cell(fold, seed) / "students" / method / "student.safetensors"

    def predictions(self, fold: int, seed: int, method: str) -> Path:
        """The predictions of a student or teacher for a fold's test clips."""
        return self.root / "predictions" / f"{method.replace(':', '-')}.fold-{fold}.seed-{seed}.csv"

    def results(self, suffix: str) -> Path:
        """The results: `.csv`, `.json` or `_by_group.csv`."""
        return self.root / f"results{suffix}"

    @property
    def comparison(self) -> Path:
        """The folder of a comparison's plots, and of its label-efficiency curve."""
        return self.root / "comparison"

    def require(self, path: Path, made_by: str) -> Path:
        """`path`, or MissingArtifact saying which command makes it."""
        if not path.exists():
            raise MissingArtifact(f"{path} is missing: run `{made_by} --workspace {self.root}` first")
        return path


def _jsonable(values: Any) -> Any:
    return json.loads(json.dumps(values))


def _first_difference(old: Any, new: Any, key: str = "") -> str | None:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(set(old) | set(new)):
            difference = _first_difference(old.get(name), new.get(name), f"{key}.{name}" if key else name)
            if difference is not None:
                return difference
        return None
    return None if old == new else f"{key} was {_short(old)}, is {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 24 else text[:21] + "..."
