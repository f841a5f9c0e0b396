"""The user's own corpus: a manifest with one row a clip, and tables of features keyed by clip.

- An empty cell says that a clip was recorded without that modality, a path that leads nowhere that something went
  wrong: the one is data, the other a recorded failure, and neither stops the run. A clip without a row in a table of
  features is one without them.
- What cannot be meant, in the manifest or in the ids of a table, stops the run before any work.
- A label's column must not be among the features: it would be predicted from itself.
- Columns that no setting names are ignored, whatever they hold.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines.corpora.clip import Clip, Corpus, Failure, InGroup
from pipelines.corpora.manifest_rows import TEST, TRAIN, ManifestRow, manifest_path, read_rows
from pipelines.errors import MissingArtifact, SettingsError, UnreadableMedia
from pipelines.media.feature_table import FeatureIndex, FeatureRows, read_feature_index, read_feature_table
from pipelines.recipe import FeatureTable, ManifestCorpus, Task

log = logging.getLogger("mtpkd")


def task_of(settings: ManifestCorpus) -> Task:
    """What the settings say; the manifest is not read for it."""
    if settings.task == "continuous":
        return Task(kind="continuous", labels=settings.labels)
    return Task(kind="classes", labels=settings.classes, ordinal=settings.ordinal)


def index_manifest(settings: ManifestCorpus) -> Corpus:
    """List the clips of a manifest, their files, and what is not there.

    Args:
        settings: where the manifest lies, and what its columns are.

    Returns:
        Clips sorted by name; `files` holds modality -> its path, or the table that has a row for the clip. A label is
        the index of a class, or one float a dimension. `missing` holds a Failure for each path that leads to no file,
        and a tolerated one (modality "label") for each label that lacks some dimensions.

    Raises:
        SettingsError: the manifest or a table cannot be read or meant; names file, line and column.
    """
    rows = sorted(read_rows(settings), key=lambda row: row.clip)
    tables = {name: (path, _index_table(settings, name, rows)) for name, path in table_paths(settings).items()}
    missing: list[Failure] = []
    clips = []
    for row in rows:
        missing += [row.partial] if row.partial else []
        files = _files(row, missing)
        files |= {name: path for name, (path, index) in tables.items() if row.clip in index.lines}
        ordered = {name: files[name] for name in settings.modalities if name in files}
        clips.append(Clip(name=row.clip, group=row.group, label=row.label, files=ordered, attributes=row.attributes))
    _warn_of_labels(clips, settings)
    return Corpus(
        name=settings.name, root=settings.root, task=task_of(settings), clips=tuple(clips), missing=tuple(missing)
    )


def tested_groups(settings: ManifestCorpus, clips: Iterable[InGroup]) -> tuple[str, ...]:
    """Groups that the manifest's own split tests on; none where it has no column for it.

    Raises:
        MissingArtifact: clips of a cache that was made before the column was named.
    """
    if settings.split is None:
        return ()
    sides = {clip.group: clip.attributes.get(settings.split) for clip in clips}
    if not set(sides.values()) <= {TEST, TRAIN}:
        raise MissingArtifact(
            f"corpus.split = {settings.split!r} was not yet set when the cache was made: run `mtpkd preprocess "
            "manifest` again, nothing that is cached is lost"
        )
    return tuple(sorted(group for group, side in sides.items() if side == TEST))


def table_paths(settings: ManifestCorpus) -> dict[str, Path]:
    """Modality -> its table, for features that lie in one."""
    tables = {name: modality.table for name, modality in _feature_tables(settings).items()}
    return {name: settings.root / table for name, table in tables.items() if table is not None}


def read_features(settings: ManifestCorpus, modality: str) -> FeatureRows:
    """The table of a modality, see `read_feature_table`; of clips that the manifest does not name, too.

    Raises:
        UnreadableMedia: the table cannot be read.
    """
    table = _feature_tables(settings)[modality]
    path = table_paths(settings)[modality]
    return read_feature_table(path, table.key, table.features, default_key=settings.clip)


def _feature_tables(settings: ManifestCorpus) -> dict[str, FeatureTable]:
    return {name: kind for name, kind in settings.modalities.items() if isinstance(kind, FeatureTable)}


def _index_table(settings: ManifestCorpus, modality: str, rows: Sequence[ManifestRow]) -> FeatureIndex:
    table, path = _feature_tables(settings)[modality], table_paths(settings)[modality]
    where = f"corpus.modalities.{modality}"
    try:
        index = read_feature_index(path, table.key, table.features, default_key=settings.clip)
    except UnreadableMedia as error:
        raise SettingsError(f"{error} ({where})") from None
    if leaks := sorted(set(settings.labels) & set(index.names)):
        raise SettingsError(
            f"{path}: column {leaks[0]!r} is a label, and would be predicted from itself: choose other columns with "
            f"{where}.features"
        )
    if not any(row.clip in index.lines for row in rows):
        there = f"such as {next(iter(index.lines))!r}" if index.lines else "and the table has no row"
        raise SettingsError(
            f"{path}: no row is keyed by a clip of {manifest_path(settings)}, such as {rows[0].clip!r}; its keys are "
            f"others, {there}: set {where}.key to the column with the clips' ids"
        )
    return index


def _files(row: ManifestRow, missing: list[Failure]) -> dict[str, Path]:
    """Modality -> file, for paths that lead to one; adds a Failure for each other."""
    files = {}
    for name, path in row.paths.items():
        if reason := _why_no_file(path):
            missing.append(Failure(row.clip, name, str(path), reason))
        else:
            files[name] = path
    return files


def _why_no_file(path: Path) -> str | None:
    try:
        if path.is_file():
            return None
        return "it is a folder, not a file" if path.is_dir() else "file does not exist"
    except OSError as error:  # a name that is longer than names can be, a folder that may not be read
        return (error.strerror or "cannot be read").lower()


def _warn_of_labels(clips: Sequence[Clip], settings: ManifestCorpus) -> None:
    labels = {clip.label for clip in clips}
    if labels == {None}:
        log.warning("%s: no clip has a label, nothing can be learned from it", manifest_path(settings))
        return
    for index, name in enumerate(settings.classes):
        if index not in labels:
            log.warning("%s: no clip is of class %r", manifest_path(settings), name)
