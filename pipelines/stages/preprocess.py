"""Stage 1: raw corpus -> HDF5 shards, clips.csv and failures.csv.

One shard a group and kind, built by a pure function of (clips, recipe). A clip that cannot be used is recorded with
file and reason and takes nothing else with it; shards remember their failures, so the tables survive any resume.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2

from pipelines.cache.biosignals import ChannelArrays, write_biosignals
from pipelines.cache.faces import FaceShardWriter
from pipelines.cache.tables import ClipRow, write_clips
from pipelines.corpora import Clip, Corpus, Failure, index_corpus
from pipelines.errors import SettingsError, TooManyFailures, UnreadableMedia
from pipelines.media.biosignals import Recording, process_biosignals, read_biosignals
from pipelines.media.detectors import Detector, make_detector
from pipelines.media.faces import crop_faces
from pipelines.media.features import FEATURES, extract_features
from pipelines.recipe import BIOSIGNALS, FaceSettings, Recipe, SyntheticCorpus
from pipelines.recipe.loading import plain, render_recipe
from pipelines.stages.execution import Artifact, Job, default_workers, run_units
from pipelines.workspace import Fingerprint, Workspace, atomic_path, read_sidecar, write_csv, write_text

log = logging.getLogger("mtpkd")
KINDS = {"faces": "video", "biosignals": "biosignals"}
"""Kind of shard -> kind of source file it is made from."""


@dataclass(frozen=True)
class ShardUnit:
    """The clips of one group that go into one shard."""

    kind: str
    path: Path
    clips: tuple[Clip, ...]
    recipe: Recipe


def run(
    recipe: Recipe,
    workspace: Workspace,
    *,
    only: str | None = None,
    workers: int | None = None,
    max_failures: float = 0.05,
) -> None:
    """Build every stale shard and write the tables.

    Args:
        only: `faces` or `biosignals`; None builds both.
        workers: processes; None takes one a processor.
        max_failures: share of clips that may fail before the run counts as failed.

    Raises:
        SettingsError: the corpus is not where or what it should be.
        TooManyFailures: after everything was written.
    """
    if only is not None and only not in KINDS:
        raise SettingsError(f"--only {only}: use one of {', '.join(KINDS)}")
    workers = workers or default_workers()
    if isinstance(recipe.corpus, SyntheticCorpus):
        _render(recipe.corpus, workers)
    corpus = index_corpus(recipe.corpus)
    log.info("corpus: %d clips of %d groups in %s", len(corpus.clips), len(corpus.groups), corpus.root)
    write_text(workspace.recipe, render_recipe(recipe))
    for kind in [only] if only else KINDS:
        units = [_unit(kind, group, corpus, recipe, workspace) for group in corpus.groups]
        run_units(f"preprocess {kind}", units, artifacts_of, workers=workers, root=workspace.root)
    failures = _write_tables(corpus, workspace)
    _summarise(corpus, failures, workspace, max_failures)


def _render(settings: SyntheticCorpus, workers: int) -> None:
    from tqdm import tqdm

    from pipelines.corpora.synthetic import render_synthetic

    with tqdm(total=0, desc="render corpus", unit="clip", disable=None, delay=1, leave=False) as bar:
        render_synthetic(settings, workers=workers, progress=bar)


def artifacts_of(unit: ShardUnit) -> list[Artifact]:
    """The one shard of a unit; its recipe keys are those of its kind only."""
    source = KINDS[unit.kind]
    settings = plain(unit.recipe.faces if unit.kind == "faces" else unit.recipe.biosignals)
    settings.pop("normalisation", None)  # chosen when a model reads the cache, not when it is written
    fingerprint = Fingerprint(
        recipe={unit.kind: settings, "clips": [clip.name for clip in unit.clips]},
        inputs={clip.name: clip.files[source] for clip in unit.clips if source in clip.files},
    )
    build = _build_faces if unit.kind == "faces" else _build_biosignals
    return [Artifact(unit.path, fingerprint, partial(build, unit), cost=len(unit.clips))]


def _unit(kind: str, group: str, corpus: Corpus, recipe: Recipe, workspace: Workspace) -> ShardUnit:
    clips = tuple(clip for clip in corpus.clips if clip.group == group)
    return ShardUnit(kind=kind, path=workspace.shard(kind, group), clips=clips, recipe=recipe)


def _build_faces(unit: ShardUnit, job: Job) -> dict[str, Any]:
    settings = unit.recipe.faces
    detector = _detector(settings.detector)
    coverage: dict[str, dict[str, float]] = {}
    failures: list[Failure] = []
    with (
        atomic_path(job.path) as partial_path,
        FaceShardWriter(partial_path, size=settings.size, storage=settings.storage) as writer,
    ):
        for clip in unit.clips:
            if file := clip.files.get("video"):
                try:
                    frames = writer.add(clip.name, crop_faces(file, settings, detector=detector))
                except UnreadableMedia as error:
                    failures.append(Failure(clip.name, "faces", str(error.file), error.reason))
                else:
                    coverage[clip.name] = {"faces": frames.coverage}
                    if frames.coverage == 0 or frames.coverage < settings.min_coverage:
                        coverage[clip.name] = {"faces": 0.0}
                        reason = _no_face(int(frames.valid.sum()), len(frames.valid), settings.min_coverage)
                        failures.append(Failure(clip.name, "faces", str(file), reason))
            job.advance(1)
    return {"coverage": coverage, "failures": [asdict(failure) for failure in failures]}


@cache
def _detector(name: str) -> Detector:
    """Made once a process, which has one core to itself: OpenCV's own threads would only fight over it."""
    cv2.setNumThreads(1)
    return make_detector(FaceSettings.model_validate({"detector": name}))


def _no_face(found: int, frames: int, least: float) -> str:
    if not found:
        return f"no face found in any of its {frames} frames"
    return f"a face in only {found} of its {frames} frames, less than faces.min_coverage = {least}"


def _build_biosignals(unit: ShardUnit, job: Job) -> dict[str, Any]:
    recordings: dict[str, Recording] = {}
    failures: list[Failure] = []
    for clip in unit.clips:
        if file := clip.files.get("biosignals"):
            try:
                recordings[clip.name] = read_biosignals(file, unit.recipe.biosignals)
            except UnreadableMedia as error:
                failures.append(Failure(clip.name, "biosignals", str(error.file), error.reason))
                job.advance(1)
        else:
            job.advance(1)
    channels = _channels(recordings, unit, job)
    with atomic_path(job.path) as partial_path:
        write_biosignals(partial_path, list(recordings), channels.arrays)
    files = {clip.name: str(clip.files.get("biosignals")) for clip in unit.clips}
    coverage: dict[str, dict[str, float]] = {clip: {} for clip in recordings}
    for name, channel in channels.arrays.items():
        for row, clip in enumerate(recordings):
            coverage[clip][name] = float(channel.valid[row].mean()) if channel.present[row] else 0.0
            if not channel.present[row]:
                failures.append(Failure(clip, name, files[clip], channels.reasons[name][row]))
    return {"coverage": coverage, "failures": [asdict(failure) for failure in failures]}


@dataclass(frozen=True)
class _Channels:
    arrays: dict[str, ChannelArrays]
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
    return _Channels(arrays=arrays, reasons={name: batches[name].reasons for name in BIOSIGNALS})


def _write_tables(corpus: Corpus, workspace: Workspace) -> list[Failure]:
    coverage: dict[str, dict[str, float]] = {clip.name: {} for clip in corpus.clips}
    failures = list(corpus.missing)
    modalities: dict[str, float] = {}
    for kind, names in {"faces": ("faces",), "biosignals": BIOSIGNALS}.items():
        for group in corpus.groups:
            record = read_sidecar(workspace.shard(kind, group))
            if record is not None:
                modalities |= dict.fromkeys(names, 0.0)
                failures += [Failure(**failure) for failure in record["details"]["failures"]]
                for clip, shares in record["details"]["coverage"].items():
                    coverage.get(clip, {}).update(shares)
    rows = [
        ClipRow(
            clip=clip.name,
            group=clip.group,
            label=clip.label,
            label_name="" if clip.label is None else corpus.task.labels[clip.label],
            attributes=clip.attributes,
            coverage={**modalities, **coverage[clip.name]},
        )
        for clip in corpus.clips
    ]
    write_clips(workspace.clips, rows)
    lines = sorted((f.clip, f.modality, f.file, f.reason) for f in failures)
    write_csv(workspace.failures, ("clip", "modality", "file", "reason"), lines)
    return failures


def _summarise(corpus: Corpus, failures: Sequence[Failure], workspace: Workspace, max_failures: float) -> None:
    failed = {failure.clip for failure in failures}
    everything = {clip.name for clip in corpus.clips} | failed
    share = len(failed) / len(everything)
    log.info("clips: %d, with failures: %d (%.1f %%)", len(everything), len(failed), 100 * share)
    for failure in failures[:3]:
        log.info("  %s, %s: %s", failure.clip, failure.modality, failure.reason)
    if failures:
        log.info("  all %d in %s", len(failures), workspace.failures)
    if share > max_failures:
        raise TooManyFailures(
            f"{len(failed)} of {len(everything)} clips failed ({100 * share:.1f} %), more than --max-failures "
            f"{max_failures:g} allows: see {workspace.failures}. Everything else is in the cache."
        )
