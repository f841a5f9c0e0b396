"""Shards of a manifest's signals: waves and log-spectrograms of all clips of a group at once."""

from typing import Any

import numpy as np

from pipelines.cache.channels import ChannelArrays, write_channels
from pipelines.corpora import Failure
from pipelines.errors import UnreadableMedia
from pipelines.media.biosignals import process_signals
from pipelines.media.signal_file import read_signal
from pipelines.recipe import SignalFiles
from pipelines.recipe.loading import plain
from pipelines.stages.artifacts import Job
from pipelines.stages.shards.unit import Outcome, ShardKind, ShardUnit
from pipelines.workspace import atomic_path


def _modality(unit: ShardUnit) -> SignalFiles:
    assert isinstance(unit.modality, SignalFiles)
    return unit.modality


def _settings(unit: ShardUnit) -> dict[str, Any]:
    settings = plain(_modality(unit))
    # Which files a column names is in the inputs, and normalisation is chosen when a model reads the cache.
    return {name: value for name, value in settings.items() if name not in ("column", "normalisation")}


def _build(unit: ShardUnit, job: Job) -> dict[str, Any]:
    settings, outcome, files = _modality(unit), Outcome(), unit.files(unit.kind)
    signals: dict[str, np.ndarray] = {}
    for clip, file in files.items():
        try:
            unit.start(clip, file, job)
            signals[clip] = read_signal(file, settings.channel)
        except UnreadableMedia as error:
            outcome.failures.append(Failure(clip, unit.kind, str(error.file), error.reason))
        job.advance(1)
    job.advance(len(unit.clips) - len(files))
    batch = process_signals(list(signals.values()), settings)
    arrays = ChannelArrays(present=batch.present, wave=batch.waves, valid=batch.valid, spectrogram=batch.spectrograms)
    with atomic_path(job.path) as partial_path:
        write_channels(partial_path, list(signals), {unit.kind: arrays})
    outcome.add_channel(unit.kind, {clip: files[clip] for clip in signals}, batch)
    return outcome.details()


def signal_shards(modality: str) -> ShardKind:
    """Shards of a modality of sampled signals."""
    return ShardKind.of_modality(modality, settings=_settings, build=_build)
