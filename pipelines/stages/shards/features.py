"""Shards of a manifest's features: the numbers of all clips of a group, NaN where one is missing.

A table holds many groups. A shard depends on its own group's rows only, by their digest: one changed number makes one
shard again. A row without any number is a clip without this modality, which is in the nature of such tables.
"""

import hashlib
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.cache.channels import ChannelArrays, write_channels
from pipelines.corpora import Failure
from pipelines.errors import UnreadableMedia
from pipelines.media.feature_table import FeatureRows, read_feature_table, read_feature_vector
from pipelines.recipe import FeatureTable, ManifestCorpus
from pipelines.stages.artifacts import Job
from pipelines.stages.shards.unit import Outcome, ShardKind, ShardUnit
from pipelines.workspace import atomic_path

WIDTH = "features"
"""Detail of a shard's sidecar: how many features its clips have, which must be the same in every group."""


def _table(unit: ShardUnit) -> FeatureRows | None:
    """The table that holds the modality; None where each clip has a file of its own."""
    corpus, modality = unit.recipe.corpus, unit.modality
    assert isinstance(corpus, ManifestCorpus)
    assert isinstance(modality, FeatureTable)
    if modality.table is None:
        return None
    path = corpus.root / modality.table
    status = path.stat()
    return _read_once(path, modality.key, modality.features, corpus.clip, (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=16)
def _read_once(
    path: Path, key: str | None, features: tuple[str, ...] | None, default_key: str, version: tuple[int, int]
) -> FeatureRows:
    """Read once a process and version of the file: every group asks for its rows."""
    return read_feature_table(path, key, features, default_key=default_key)


def _settings(unit: ShardUnit) -> dict[str, Any]:
    table = _table(unit)
    if table is None:
        return {}
    digest = hashlib.sha256()
    for clip in unit.files(unit.kind):
        digest.update(f"{clip}\n".encode() + table.rows[clip].tobytes())
    return {"names": list(table.names), "rows": digest.hexdigest()[:16]}


def _inputs(unit: ShardUnit) -> dict[str, Path]:
    return unit.files(unit.kind) if _table(unit) is None else {}


def _build(unit: ShardUnit, job: Job) -> dict[str, Any]:
    modality, outcome, table, files = unit.kind, Outcome(), _table(unit), unit.files(unit.kind)
    rows = _read_files(unit, outcome) if table is None else {clip: table.rows[clip] for clip in files}
    values = np.stack(list(rows.values())) if rows else np.zeros((0, 0), np.float32)
    shares = [float(np.isfinite(numbers).mean()) for numbers in rows.values()]
    names = None if table is None else table.names
    arrays = ChannelArrays(present=np.array(shares) > 0, features=values, feature_names=names)
    with atomic_path(job.path) as partial_path:
        write_channels(partial_path, list(rows), {modality: arrays})
    for clip, share in zip(rows, shares, strict=True):
        outcome.coverage[clip] = {modality: share}
        if not share:
            reason = f"none of its {values.shape[1]} features is a number"
            outcome.failures.append(Failure(clip, modality, str(files[clip]), reason, tolerated=True))
    job.advance(len(unit.clips))
    return {**outcome.details(), **({WIDTH: values.shape[1]} if rows else {})}


def _read_files(unit: ShardUnit, outcome: Outcome) -> dict[str, np.ndarray]:
    rows: dict[str, np.ndarray] = {}
    files = unit.files(unit.kind)
    for clip, file in files.items():
        try:
            rows[clip] = read_feature_vector(file)
        except UnreadableMedia as error:
            outcome.failures.append(Failure(clip, unit.kind, str(error.file), error.reason))
    widths = Counter(map(len, rows.values()))
    usual = max(widths, key=lambda width: widths[width]) if widths else 0
    for clip in [clip for clip, values in rows.items() if len(values) != usual]:
        reason = f"{len(rows.pop(clip))} features, where other clips of {unit.group} have {usual}"
        outcome.failures.append(Failure(clip, unit.kind, str(files[clip]), reason))
    return rows


def feature_shards(modality: str) -> ShardKind:
    """Shards of a modality of features, which lie in a table, or in a file a clip."""
    return ShardKind.of_modality(modality, settings=_settings, inputs=_inputs, build=_build)
