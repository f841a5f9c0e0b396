"""What is measured while models are trained and evaluated, kept as it happens: always in metrics.csv, and on request
where the tools of TensorBoard and MLflow look for it.

Decisions:

- metrics.csv is append-only, one value a row. An epoch is written at once; of what a full disk or a power failure tore
  off, a line that is not whole is cut away and missing values are added, so that one `pandas.read_csv` reads it.
- Only the process that holds the workspace writes; worker processes tell it through their pipes.
- A run is told by its content: the same settings, seed and inputs are the same run. So a training that is resumed goes
  on in its own, and what was written of it before is not written again.
- A service follows metrics.csv: it is sent all that stands there and what is added, each value once. So it may be asked
  for at any time, also when all is trained.
- What a service must have installed is asked for before any work starts; it is opened when there is something to send,
  because importing it takes seconds and most stages of a second run have nothing to say.
"""

import csv
import importlib.util
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pipelines.errors import DamagedFile, SettingsError
from pipelines.recipe import Recipe
from pipelines.workspace import Workspace, cannot_write, relative

COLUMNS = ("time", "run", "stage", "artifact", "fold", "seed", "model", "epoch", "metric", "value")

RUN_DIGITS = 12
"""Hexadecimal digits by which a run is told."""

SERVICES = ("tensorboard", "mlflow")
"""What `--track` can name; also the package that each needs, and the extra that brings it."""


@dataclass(frozen=True)
class Measurement:
    """What is known of a model after an epoch, or at the end.

    Attributes:
        run: identifies settings, seed and inputs.
        artifact: the file that is trained or evaluated.
        fold, seed: of the cell.
        model: method of a student, or what else is trained.
        epoch: None for a result.
        values: metric -> value.
    """

    run: str
    artifact: Path
    fold: int
    seed: int
    model: str
    epoch: int | None
    values: Mapping[str, float]


Log = Callable[[Measurement], None]


@dataclass(frozen=True)
class Entry:
    """What stands in metrics.csv of one measurement: also the stage that took it, and when."""

    stage: str
    at: datetime
    item: Measurement


class Tracker(Protocol):
    """A service."""

    def log(self, entry: Entry) -> None:
        """Keep it."""
        ...

    def close(self, *, failed: bool) -> None:
        """The stage has ended, in an error or not."""
        ...


def check_services(names: Sequence[str]) -> None:
    """Raises SettingsError for a service that does not exist or whose package is not installed."""
    for name in names:
        if name not in SERVICES:
            raise SettingsError(f"--track {name}: use one of {', '.join(SERVICES)}")
        if importlib.util.find_spec(name) is None:
            raise SettingsError(f"--track {name}: {name} is not installed: pip install 'mtpkd[{name}]'")


@contextmanager
def tracked(stage: str, recipe: Recipe, workspace: Workspace, services: Sequence[str] = ()) -> Iterator[Log]:
    """Where a stage sends its measurements: metrics.csv, and the services.

    Raises:
        SettingsError: see `check_services`.
        DamagedFile: metrics.csv holds something else.
    """
    check_services(services)
    file = MetricsFile(workspace)
    followers = [_Follower(name, recipe, workspace) for name in dict.fromkeys(services)]

    def log(item: Measurement) -> None:
        if file.add(stage, item):
            for follower in followers:
                follower.catch_up()

    failed = True
    try:
        for follower in followers:
            follower.catch_up()
        yield log
        failed = False
    finally:
        for follower in followers:
            follower.close(failed=failed)


class _Follower:
    """A service, and how much of metrics.csv it has."""

    def __init__(self, name: str, recipe: Recipe, workspace: Workspace) -> None:
        self._name, self._recipe, self._workspace = name, recipe, workspace
        self._note = workspace.root / f".{name}.position"
        self._tracker: Tracker | None = None

    def catch_up(self) -> None:
        """Send what it has not got."""
        size = self._workspace.metrics.stat().st_size if self._workspace.metrics.exists() else 0
        begin = self._position()
        for entry, end in _entries(self._workspace, begin if begin <= size else 0) if begin != size else ():
            if self._tracker is None:
                self._tracker = _open(self._name, self._recipe, self._workspace)
            self._tracker.log(entry)
            with cannot_write(self._note):
                self._note.write_text(str(end))

    def close(self, *, failed: bool) -> None:
        """The stage has ended."""
        if self._tracker is not None:
            self._tracker.close(failed=failed)

    def _position(self) -> int:
        store = self._workspace.root / ("mlflow.db" if self._name == "mlflow" else self._name)
        text = self._note.read_text() if store.exists() and self._note.exists() else ""
        return int(text) if text.isdecimal() else 0


def _open(name: str, recipe: Recipe, workspace: Workspace) -> Tracker:
    from pipelines.stages import trackers

    return (trackers.TensorBoard if name == "tensorboard" else trackers.MLflow)(recipe, workspace)


def _entries(workspace: Workspace, begin: int) -> Iterator[tuple[Entry, int]]:
    """What stands in metrics.csv from a place on, and where each entry ends."""
    rows: list[list[str]] = []
    end = begin
    with workspace.metrics.open("rb") as file:
        file.seek(begin)
        for line in file:
            if not line.endswith(b"\n"):
                break
            fields = _fields(line)
            if rows and fields[:-2] != rows[0][:-2]:
                yield _entry(workspace, rows), end
                rows = []
            end += len(line)
            if len(fields) == len(COLUMNS) and tuple(fields) != COLUMNS:
                rows.append(fields)
    if rows:
        yield _entry(workspace, rows), end


def _fields(line: bytes) -> list[str]:
    return next(csv.reader([line.decode(errors="replace")]), [])


def _entry(workspace: Workspace, rows: list[list[str]]) -> Entry:
    time, run, stage, artifact, fold, seed, model, epoch, *_ = rows[0]
    try:
        values = {row[-2]: float(row[-1]) for row in rows}
        number = int(epoch) if epoch else None
        item = Measurement(run, workspace.root / artifact, int(fold), int(seed), model, number, values)
        return Entry(stage, datetime.fromisoformat(time), item)
    except ValueError as error:
        reason = f"has a line that is no measurement ({error})"
        raise DamagedFile(workspace.metrics, reason, "mend the line, or move the file away") from error


class MetricsFile:
    """metrics.csv of a workspace; read when the first value comes, to know what it has already."""

    def __init__(self, workspace: Workspace) -> None:
        self._root, self._path = workspace.root, workspace.metrics
        self._known: dict[tuple[str, str, str], tuple[str, ...]] | None = None  # run, artifact, epoch -> metrics

    def add(self, stage: str, item: Measurement) -> bool:
        """Append what is not there yet; whether anything was new.

        Raises:
            DamagedFile: the file holds something else.
            CannotWrite: the disk is full, or nothing may be written there.
        """
        with cannot_write(self._path):
            if self._known is None:
                self._known = self._mend() if self._path.exists() else self._begin()
            artifact = relative(item.artifact, self._root)
            epoch = "" if item.epoch is None else str(item.epoch)
            known = self._known.get((item.run, artifact, epoch), ())
            new = {metric: value for metric, value in item.values.items() if metric not in known}
            if not new:
                return False
            now = datetime.now(UTC).isoformat(timespec="seconds")
            shared = (now, item.run, stage, artifact, item.fold, item.seed, item.model, epoch)
            self._append([(*shared, metric, f"{value:.6g}") for metric, value in new.items()])
            self._known[item.run, artifact, epoch] = (*known, *new)
        return True

    def _begin(self) -> dict[tuple[str, str, str], tuple[str, ...]]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._append([COLUMNS])
        return {}

    def _mend(self) -> dict[tuple[str, str, str], tuple[str, ...]]:
        """What is known; without a last line that is not whole."""
        known: dict[tuple[str, str, str], tuple[str, ...]] = {}
        whole = 0
        with self._path.open("r+b") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                fields = _fields(line)
                if not whole and tuple(fields) != COLUMNS:
                    raise DamagedFile(self._path, "is not a file of measurements", "move it away, a new one is begun")
                whole += len(line)
                if len(fields) == len(COLUMNS):
                    key = fields[1], fields[3], fields[7]
                    known[key] = (*known.get(key, ()), sys.intern(fields[8]))
            file.truncate(whole)
        return known if whole else self._begin()

    def _append(self, rows: Sequence[Sequence[object]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        with self._path.open("ab") as file:  # one write: a kill of this process leaves all of it or nothing
            file.write(text.getvalue().encode())
