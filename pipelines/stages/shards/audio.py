"""Shards of sound: the log-mel spectrogram of a video's track, shared by its trials."""

from pathlib import Path
from typing import Any

from pipelines.cache.annotations import Annotation, read_annotations
from pipelines.cache.audio import SILENT, AudioShardWriter
from pipelines.corpora import Failure
from pipelines.errors import UnreadableMedia
from pipelines.media.audio import NO_TRACK, read_sound
from pipelines.recipe.loading import plain
from pipelines.stages.artifacts import Job
from pipelines.stages.shards.unit import Outcome, ShardKind, ShardUnit
from pipelines.workspace import atomic_path


def _settings(unit: ShardUnit) -> dict[str, Any]:
    settings = plain(unit.recipe.audio)
    settings.pop("seconds")  # chosen when a model reads the cache, not when it is written
    return settings


def _inputs(unit: ShardUnit) -> dict[str, Path]:
    video = _video(unit)
    annotations = {"annotations": unit.workspace.shard("annotations", unit.group)}
    return annotations if video is None else {**annotations, "video": video}


def _video(unit: ShardUnit) -> Path | None:
    """The file with the sound: both trials of a video hear the same."""
    return next(iter(unit.files("video").values()), None)


def _build(unit: ShardUnit, job: Job) -> dict[str, Any]:
    outcome, video = Outcome(), _video(unit)
    with (
        atomic_path(job.path) as partial_path,
        AudioShardWriter(partial_path, unit.recipe.audio) as writer,
    ):
        try:
            if video is not None:
                unit.start(unit.clips[0].name, video, job)
                for block in read_sound(video, unit.recipe.audio.rate):
                    writer.add(block)
        except UnreadableMedia as error:
            writer.discard(error.reason)
    trials = read_annotations(unit.workspace.shard("annotations", unit.group))
    for clip in unit.clips:
        if clip.name in trials:
            outcome.coverage[clip.name] = {"audio": _share(writer, trials[clip.name])}
        if video is not None and not writer.is_present:
            # A video without sound is a fact of the corpus; one whose sound cannot be read is a damaged file.
            tolerated = writer.reason in (NO_TRACK, SILENT)
            outcome.failures.append(Failure(clip.name, "audio", str(video), writer.reason, tolerated=tolerated))
        job.advance(1)
    return outcome.details()


def _share(writer: AudioShardWriter, trial: Annotation) -> float:
    """Share of a trial's frames at which there is sound."""
    if writer.span is None or not len(trial.times):
        return 0.0
    start_s, stop_s = writer.span
    return float(((trial.times >= start_s) & (trial.times < stop_s)).mean()) * writer.coverage


AUDIO = ShardKind(
    name="audio",
    modalities=("audio",),
    layout="audio",
    settings=_settings,
    inputs=_inputs,
    build=_build,
    of_recordings=True,
)
