"""Shards of a manifest's sound: one log-mel spectrogram a clip, around the middle of its window.

The window is `windows.start` to `windows.stop`, or the whole track where that ends before the window does, so that
short utterances need no settings. Where `audio.seconds` would reach over an end of the track they are moved inside; a
track that is shorter is missing, with a reason, because nothing could fill it up. No more of a file is decoded than
that takes, so memory does not grow with its length.
"""

from pathlib import Path
from typing import Any

import numpy as np

from pipelines.cache.audio import SILENCE, SILENT
from pipelines.cache.channels import ChannelArrays, write_channels
from pipelines.corpora import Failure
from pipelines.errors import UnreadableMedia
from pipelines.media.audio import NO_TRACK, SoundBlock, read_sound
from pipelines.media.log_mel import analysis_samples, log_mel
from pipelines.recipe import AudioSettings, ClipWindow, Recipe
from pipelines.recipe.loading import plain
from pipelines.stages.artifacts import Job
from pipelines.stages.shards.unit import Outcome, ShardKind, ShardUnit
from pipelines.workspace import atomic_path

_LEAST_RECORDED = 0.5
"""Share of the sound that must have been recorded, and not be a gap of the track."""


def _window(recipe: Recipe) -> ClipWindow:
    assert isinstance(recipe.windows, ClipWindow)
    return recipe.windows


def _settings(unit: ShardUnit) -> dict[str, Any]:
    window = _window(unit.recipe)
    return {**plain(unit.recipe.audio), "start": window.start, "stop": window.stop}


def _build(unit: ShardUnit, job: Job) -> dict[str, Any]:
    modality, outcome, settings, files = unit.kind, Outcome(), unit.recipe.audio, unit.files(unit.kind)
    heard: dict[str, np.ndarray] = {}
    for clip, file in files.items():
        try:
            unit.start(clip, file, job)
            heard[clip] = hear(file, settings, _window(unit.recipe))
            outcome.coverage[clip] = {modality: 1.0}
        except UnreadableMedia as error:
            # A video without sound is a fact of the corpus; one whose sound cannot be read is a damaged file.
            tolerated = error.reason in (NO_TRACK, SILENT)
            outcome.failures.append(Failure(clip, modality, str(file), error.reason, tolerated=tolerated))
        job.advance(1)
    job.advance(len(unit.clips) - len(files))
    size = (settings.mels, _columns(settings))
    spectrograms = np.stack(list(heard.values())) if heard else np.zeros((0, *size), np.float32)
    arrays = ChannelArrays(present=np.ones(len(heard), bool), spectrogram=spectrograms)
    with atomic_path(job.path) as partial_path:
        write_channels(partial_path, list(heard), {modality: arrays})
    return outcome.details()


def hear(file: Path, settings: AudioSettings, window: ClipWindow) -> np.ndarray:
    """(mels, T) float32 decibels of `settings.seconds` around the middle of a window, T = seconds / hop.

    Raises:
        UnreadableMedia: no such file or no recording; no sound track, a silent one, or too little of it.
    """
    blocks = _blocks(file, settings, window)
    if not blocks:
        raise UnreadableMedia(file, NO_TRACK)
    sound = np.concatenate([block.samples for block in blocks])
    first_s, last_s = blocks[0].start_s, blocks[0].start_s + len(sound) / settings.rate
    if np.abs(sound).max() < SILENCE:
        raise UnreadableMedia(file, SILENT)
    columns, hop_s = _columns(settings), analysis_samples(settings)[1] / settings.rate
    centre_s = (window.start + window.stop) / 2 if last_s >= window.stop else (first_s + last_s) / 2
    spectrogram = log_mel(sound, settings)
    if spectrogram.shape[1] < columns:
        length = f"{last_s - first_s:.2f} s of sound, audio.seconds = {settings.seconds:g} are needed"
        raise UnreadableMedia(file, length)
    at = min(max(round((centre_s - first_s) / hop_s) - columns // 2, 0), spectrogram.shape[1] - columns)
    start_s = first_s + at * hop_s
    recorded = sum(_overlap(block, settings, start_s) for block in blocks if not block.is_gap)
    if recorded < _LEAST_RECORDED * settings.seconds - hop_s:
        reason = f"only {recorded:.2f} of the {settings.seconds:g} s around second {centre_s:.2f} were recorded"
        raise UnreadableMedia(file, reason)
    return spectrogram[:, at : at + columns]


def _blocks(file: Path, settings: AudioSettings, window: ClipWindow) -> list[SoundBlock]:
    """The track up to where nothing that comes later could change what is heard."""
    middle_s = (window.start + window.stop) / 2
    enough_s = max(window.stop, middle_s + settings.seconds / 2) + settings.window_seconds
    blocks: list[SoundBlock] = []
    for block in read_sound(file, settings.rate):
        blocks.append(block)
        end_s = block.start_s + len(block.samples) / settings.rate
        if end_s > max(enough_s, blocks[0].start_s + settings.seconds + settings.window_seconds):
            break
    return blocks


def _overlap(block: SoundBlock, settings: AudioSettings, start_s: float) -> float:
    """Seconds of a block within the sound that is heard."""
    stop_s = min(block.start_s + len(block.samples) / settings.rate, start_s + settings.seconds)
    return max(0.0, stop_s - max(block.start_s, start_s))


def _columns(settings: AudioSettings) -> int:
    return max(1, round(settings.seconds * settings.rate / analysis_samples(settings)[1]))


def sound_shards(modality: str) -> ShardKind:
    """Shards of a modality of sound files, or of videos with sound."""
    return ShardKind.of_modality(modality, settings=_settings, build=_build, of_recordings=True)
