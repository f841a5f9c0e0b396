"""Shards of biosignals: waves, log-spectrograms and features of all clips of a subject at once."""

from dataclasses import dataclass
from typing import Any

from pipelines.cache.channels import ChannelArrays, write_channels
from pipelines.corpora import Failure
from pipelines.errors import UnreadableMedia
from pipelines.media.biosignals import Recording, process_biosignals, read_biosignals
from pipelines.media.features import FEATURES, extract_features
from pipelines.recipe import BIOSIGNALS
from pipelines.recipe.loading import plain
from pipelines.stages.execution import Job
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
            recordings[clip.name] = read_biosignals(files[clip.name], unit.recipe.biosignals)
        except UnreadableMedia as error:
            outcome.failures.append(Failure(clip.name, "biosignals", str(error.file), error.reason))
            job.advance(1)
    channels = _channels(recordings, unit, job)
    with atomic_path(job.path) as partial_path:
        write_channels(partial_path, list(recordings), channels.arrays)
    outcome.coverage.update({clip: {} for clip in recordings})
    for name, channel in channels.arrays.items():
        for row, clip in enumerate(recordings):
            outcome.coverage[clip][name] = channels.coverage[name][row]
            if not channel.present[row]:
                outcome.failures.append(Failure(clip, name, str(files[clip]), channels.reasons[name][row]))
    return outcome.details()


@dataclass(frozen=True)
class _Channels:
    arrays: dict[str, ChannelArrays]
    coverage: dict[str, list[float]]
    reasons: dict[str, tuple[str, ...]]


def _channels(recordings: dict[str, Recording], unit: ShardUnit, job: Job) -> _Channels:
    import numpy as np

    settings = unit.recipe.biosignals
    batches = process_biosignals(list(recordings.values()), settings)
    features = []
    for recording in recordings.values():
        features.append(extract_features(recording, settings))
        job.advance(1)
    arrays = {}
    for name in BIOSIGNALS:
        values = np.array([item[name].values for item in features], np.float32).reshape(-1, len(FEATURES[name]))
        batch = batches[name]
        arrays[name] = ChannelArrays(
            wave=batch.waves,
            valid=batch.valid,
            spectrogram=batch.spectrograms,
            features=values,
            feature_names=FEATURES[name],
            present=batch.present,
        )
    return _Channels(
        arrays=arrays,
        coverage={name: batches[name].coverage for name in BIOSIGNALS},
        reasons={name: batches[name].reasons for name in BIOSIGNALS},
    )


BIOSIGNAL_SHARDS = ShardKind(
    name="biosignals",
    modalities=BIOSIGNALS,
    settings=_settings,
    inputs=lambda unit: unit.files("biosignals"),
    build=_build,
)
