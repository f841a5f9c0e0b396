"""Is everything that a workspace should hold there, and is it what was written?

Decisions. Which shards there should be follows from the workspace alone (recipe.yaml, clips.csv, the sidecars), so the
raw corpus may be on another machine. What must be made again is a problem and names the command; what merely lies about
(partial files of killed runs, shards of groups that left the corpus) is a leftover. `repair` deletes broken shards and
partial files, so that `preprocess` makes exactly those shards again: it never deletes a sound shard, not even one that
no clip belongs to, because clips.csv may be what is wrong.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from pipelines.cache.tables import ClipRow, read_clips, read_failures
from pipelines.errors import MtpkdError
from pipelines.recipe.loading import load_recipe
from pipelines.stages import STAGES
from pipelines.stages.shards import ShardKind, kinds_of
from pipelines.stages.shards.integrity import CheckedShard, Told, check_shard, fault_of
from pipelines.stages.shards.table_checks import SoundShard, clip_faults, failure_faults
from pipelines.workspace import PARTIAL, Workspace, relative, sidecar

log = logging.getLogger("mtpkd")
Row = TypeVar("Row")
_PARTS = ("fold-*/**/*.*.json", "predictions/*.*.json")
"""Where the later stages write, in a workspace or in one for a share of the labels."""


@dataclass(frozen=True)
class Finding:
    """One file that is not as it should be.

    Attributes:
        path: the file.
        reason: what is wrong with it, as the rest of a sentence that begins with its name.
        remedy: what makes it again, with the command to run; empty for what does no harm.
        discard: whether `remove_broken` deletes it.
    """

    path: Path
    reason: str
    remedy: str = ""
    discard: bool = False


@dataclass
class Tally:
    """How much there is of one kind of file; of the files some may be faulty, and others missing.

    Attributes:
        files: those that are there.
        clips: those that the sound ones were made from.
        bytes: their size.
        faulty: those that are there and must be made again.
        missing: those that should be there.
    """

    files: int = 0
    clips: int = 0
    bytes: int = 0
    faulty: int = 0
    missing: int = 0

    def add(self, path: Path, fault: str, clips: int = 0) -> None:
        """Count one file."""
        is_there = path.is_file()
        self.files += is_there
        self.bytes += path.stat().st_size if is_there else 0
        self.clips += clips
        self.faulty += bool(fault) and is_there
        self.missing += not is_there


@dataclass
class Verification:
    """What was checked and found.

    Attributes:
        workspace: whose files.
        tallies: kind of shard, or the stage that wrote them -> how much there is.
        problems: what must be made again.
        leftovers: what does no harm.
    """

    workspace: Workspace
    tallies: dict[str, Tally] = field(default_factory=dict)
    problems: list[Finding] = field(default_factory=list)
    leftovers: list[Finding] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing must be made again."""
        return not self.problems


def verify(workspace: Workspace) -> Verification:
    """Check the cache, and every artifact of the later stages against its sidecar.

    Raises:
        SettingsError: the workspace's recipe.yaml cannot be used.
    """
    found = verify_cache(workspace)
    _check_artifacts(found)
    return found


def verify_cache(workspace: Workspace) -> Verification:
    """Check every shard, clips.csv and failures.csv, of a `preprocess` that has finished or was killed.

    Every byte is read once. Raises what `verify` raises.
    """
    found = Verification(workspace)
    _CacheCheck(found).run()
    return found


def remove_broken(findings: Iterable[Finding]) -> list[Path]:
    """Delete broken shards with their sidecars, and partial files; returns those that were there.

    Raises:
        MtpkdError: a folder lies where a file belongs.
    """
    removed = []
    for finding in findings:
        # The sidecar goes first: a shard without one is made again, whenever this is killed.
        for path in (sidecar(finding.path), finding.path) if finding.discard else ():
            if path.is_dir() and not path.is_symlink():
                raise MtpkdError(f"{path} is a folder where a file of the cache belongs: move it elsewhere")
            if path.exists() or path.is_symlink():
                path.unlink()
                removed.append(path)
    return removed


def repair(workspace: Workspace, *, kinds: Collection[str] | None = None) -> Verification:
    """Check the cache, delete what is broken so that `preprocess` makes just that again, and log a line for each.

    Args:
        workspace: whose cache; nobody else may write in it meanwhile.
        kinds: of shards that will be made again; others are kept, because without them clips would seem to lack them.
    """
    found = verify_cache(workspace)
    for finding in (*found.problems, *(leftover for leftover in found.leftovers if leftover.discard)):
        kept = finding.discard and kinds is not None and finding.path.parent.name not in kinds
        if not kept:
            remove_broken([finding])
        place = relative(finding.path, workspace.whole.root)
        log.info("repair: %s %s%s", place, finding.reason, " (left as it is, see --only)" if kept else "")
    if found.is_sound:
        log.info("repair: all %d shards are sound", sum(tally.files for tally in found.tallies.values()))
    return found


class _CacheCheck:
    """One check of a cache, in the making."""

    def __init__(self, found: Verification) -> None:
        workspace = found.workspace
        recipe = load_recipe(workspace.recipe)
        self._found, self._workspace, self._cache = found, workspace, workspace.cache
        self._kinds = kinds_of(recipe)
        self._remedy = f"run `mtpkd preprocess {recipe.corpus.name} --repair --workspace {workspace.whole.root}`"
        self._rows: list[ClipRow] | None = None
        """clips.csv, or None where it cannot be trusted."""

    def run(self) -> None:
        """Check the table of clips first: it says which shards there should be."""
        self._rows = self._read(self._workspace.clips, _read_clips)
        known = {row.group for row in self._rows or ()}
        names = {name: sorted(self._groups(kind)) for name, kind in self._kinds.items()}
        paths = [self._workspace.shard(name, group) for name, groups in names.items() for group in groups]
        sound: list[SoundShard] = []
        with _bar("verify cache", paths) as bar:
            for name, groups in names.items():
                tally = self._found.tallies.setdefault(name, Tally())
                for group in groups:
                    checked = self._check(name, group, tally, bar.update, is_known=self._rows is None or group in known)
                    if not checked.fault and group in known:
                        sound.append(SoundShard(self._kinds[name], group, checked))
        self._check_tables(sound)
        self._find_leftovers()

    def _groups(self, kind: ShardKind) -> set[str]:
        """Groups that have a shard of a kind, and those that should."""
        folder = self._cache / kind.name
        files = (path for pattern in ("*.h5", "*.h5.json") for path in folder.glob(pattern))
        groups = {path.name.removesuffix(".json").removesuffix(".h5") for path in files if path.name[0] != "."}
        covered = {modality for row in self._rows or () for modality in row.coverage}
        # With --only, kinds are left out: none of their modalities has a column.
        if not kind.modalities or covered & set(kind.modalities):
            groups |= {row.group for row in self._rows or ()}
        return groups

    def _check(self, name: str, group: str, tally: Tally, told: Told, *, is_known: bool) -> CheckedShard:
        path = self._workspace.shard(name, group)
        checked = check_shard(path, self._kinds[name], told)
        tally.add(path, checked.fault, len(checked.clips))
        if not is_known:
            reason = "belongs to no group of clips.csv" + (f", and {checked.fault}" if checked.fault else "")
            self._found.leftovers.append(Finding(path, reason, discard=bool(checked.fault)))
        elif checked.fault:
            self._found.problems.append(Finding(path, checked.fault, self._remedy, discard=True))
        return checked

    def _read(self, path: Path, reader: Callable[[Path], list[Row]]) -> list[Row] | None:
        """A table, or None where it is not what was written."""
        reason = "" if path.exists() else "is missing: preprocess has not finished"
        if not reason and sidecar(path).exists():
            reason = fault_of(path, lambda _: None)
        if not reason:
            try:
                return reader(path)
            except (MtpkdError, OSError) as error:
                reason = f"cannot be read ({error})"
        self._found.problems.append(Finding(path, reason, self._remedy))
        return None

    def _check_tables(self, sound: Sequence[SoundShard]) -> None:
        failures = self._read(self._workspace.failures, read_failures)
        if self._rows is not None:
            self._tell(self._workspace.clips, [*clip_faults(self._rows, sound)])
            self._tell(self._workspace.failures, [*failure_faults(failures, sound)] if failures is not None else [])

    def _tell(self, path: Path, faults: Sequence[str]) -> None:
        if faults:
            more = f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else ""
            self._found.problems.append(Finding(path, faults[0] + more, self._remedy))

    def _find_leftovers(self) -> None:
        _find_partials(self._found, self._cache.rglob(PARTIAL))
        for path in sorted(self._cache.glob("*/*.h5")):
            if path.parent.name not in self._kinds and path.name[0] != ".":
                reason = f"is of {path.parent.name}, which the recipe does not have"
                self._found.leftovers.append(Finding(path, reason))


def _read_clips(path: Path) -> list[ClipRow]:
    """clips.csv, whose groups are names of files: a damaged one must not lead out of the cache."""
    rows = read_clips(path)
    for row in rows:
        if Path(row.group).name != row.group or row.group in ("", "..") or "\0" in row.group:
            raise MtpkdError(f"group {row.group!r} of clip {row.clip!r} is no name of a file")
    return rows


def _find_partials(found: Verification, paths: Iterable[Path]) -> None:
    for path in sorted(paths):
        if path.is_file():
            found.leftovers.append(Finding(path, "was left by a run that was killed", discard=True))


def _check_artifacts(found: Verification) -> None:
    root, cache = found.workspace.root, found.workspace.cache
    # Whatever else someone keeps in the folder is no business of ours.
    records = (record for place in ("", "labelled-*/") for part in _PARTS for record in root.glob(f"{place}{part}"))
    paths = sorted(record.with_name(record.stem) for record in records)
    made = [(path, *_made_by(path, root)) for path in paths]
    with _bar("verify artifacts", paths) as bar:
        for path, stage, remedy in sorted(made, key=lambda item: list(STAGES).index(item[1])):
            fault = fault_of(path, bar.update)
            found.tallies.setdefault(stage, Tally()).add(path, fault)
            if fault:
                found.problems.append(Finding(path, fault, remedy))
    _find_partials(found, (path for path in root.rglob(PARTIAL) if not path.is_relative_to(cache)))


def _made_by(path: Path, root: Path) -> tuple[str, str]:
    """The stage that wrote an artifact, and how to have it written again."""
    parts = path.relative_to(root).parts
    if Workspace(root / parts[0]).whole.root == root:  # one for a share of the labels, inside this one
        root, parts = root / parts[0], parts[1:]
    stage, option = "train-teachers", ""
    if parts[0] == "predictions":
        stage = "evaluate"
    elif "students" in parts:
        stage, option = "distill", f" --method {parts[parts.index('students') + 1]}"
    elif "aligned" in parts:
        stage = "align"
    return stage, f"delete what is there of it and run `mtpkd {stage}{option} --workspace {root}`"


def _bar(label: str, paths: Iterable[Path]) -> tqdm:
    total = sum(path.stat().st_size for path in paths if path.is_file())
    return tqdm(total=total, desc=label, unit="B", unit_scale=True, disable=None, delay=1, leave=False)
