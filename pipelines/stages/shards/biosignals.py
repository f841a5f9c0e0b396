"""Shards of biosignals: waves, log-spectrograms and features of all clips of a subject at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipelines.cache.channels import ChannelArrays, write_channels
from pipelines.corpora import Failure
from pipelines.errors import UnreadableMedia
from pipelines.media.biosignals import ChannelBatch, Recording, process_biosignals, read_biosignals
from pipelines.media.features import FEATURES, Features, extract_features
from pipelines.recipe import BIOSIGNALS
from pipelines.recipe.loading import plain
from pipelines.stages.artifacts import Job
from pipelines.stages.shards.unit import Outcome, ShardKind, ShardUnit
from pipelines.workspace import atomic_path


def _settings(unit: ShardUnit) -> dict[str, Any]:
    settings = plain(unit.recipe.biosignals)
    settings.pop("normalisation")  # chosen when a model reads the cache, not when it is written
    return settings


def _build(unit: ShardUnit, job: Job) -> dict[str, Any]:
    recordings: dict[str, Recording] = {}
    outcome = Outcome()
    files = unit.files("biosignals")
    for clip in unit.clips:
        if clip.name not in files:
            job.advance(1)
            continue
        try:
            unit.start(clip.name, files[clip.name], job)
            recordings[clip.name] = read_biosignals(files[clip.name], unit.recipe.biosignals)
        except UnreadableMedia as error:
            outcome.failures.append(Failure(clip.name, "biosignals", str(error.file), error.reason))
            job.advance(1)
    batches = process_biosignals(list(recordings.values()), unit.recipe.biosignals)
    features = []
    for clip, recording in recordings.items():
        job.start(clip)
        features.append(extract_features(recording, unit.recipe.biosignals))
        job.advance(1)
    arrays = {name: _arrays(name, batch, features) for name, batch in batches.items()}
    with atomic_path(job.path) as partial_path:
        write_channels(partial_path, list(recordings), arrays)
    for name, batch in batches.items():
        outcome.add_channel(name, {clip: files[clip] for clip in recordings}, batch)
    return outcome.details()


def _arrays(name: str, batch: ChannelBatch, features: Sequence[Mapping[str, Features]]) -> ChannelArrays:
    values = np.array([item[name].values for item in features], np.float32).reshape(-1, len(FEATURES[name]))
    return ChannelArrays(
        wave=batch.waves,
        valid=batch.valid,
        spectrogram=batch.spectrograms,
        features=values,
        feature_names=FEATURES[name],
        present=batch.present,
    )


BIOSIGNAL_SHARDS = ShardKind(
    name="biosignals",
    modalities=BIOSIGNALS,
    layout="biosignals",
    settings=_settings,
    inputs=lambda unit: unit.files("biosignals"),
    build=_build,
)
