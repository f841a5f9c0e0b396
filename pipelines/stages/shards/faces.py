"""Shards of face crops: cut out of a video, or the corpus' own aligned images where the recipe wants those."""

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2

from pipelines.cache.annotations import Annotation, read_annotations
from pipelines.cache.faces import FaceShardWriter
from pipelines.corpora import Clip, Failure
from pipelines.errors import UnreadableMedia
from pipelines.media.detectors import Detector, make_detector
from pipelines.media.faces import FaceCrop, crop_faces
from pipelines.media.published_crops import PublishedCrops, read_published_crops
from pipelines.recipe import FaceSettings
from pipelines.recipe.loading import plain
from pipelines.stages.execution import Job
from pipelines.stages.shards.unit import Outcome, ShardKind, ShardUnit
from pipelines.workspace import atomic_path


def _settings(unit: ShardUnit) -> dict[str, Any]:
    settings = plain(unit.recipe.faces)
    listings = {clip: _listing(folder) for clip, folder in unit.files("crops").items()}
    return {**settings, "crops": listings} if listings else settings


def _listing(folder: Path) -> str:
    """Digest of the names and sizes in a folder: thousands of images are not hashed one by one at every start."""
    with os.scandir(folder) as entries:
        lines = sorted(f"{entry.name}\t{entry.stat().st_size}" for entry in entries)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _inputs(unit: ShardUnit) -> dict[str, Path]:
    published = unit.files("crops")
    inputs = {clip: file for clip, file in unit.files("video").items() if clip not in published}
    return {**inputs, "annotations": _annotations(unit)} if unit.recipe.corpus.continuous else inputs


def _annotations(unit: ShardUnit) -> Path:
    return unit.workspace.shard("annotations", unit.group)


def _build(unit: ShardUnit, job: Job) -> dict[str, Any]:
    settings = unit.recipe.faces
    outcome = Outcome()
    trials = read_annotations(_annotations(unit)) if unit.recipe.corpus.continuous else {}
    with (
        atomic_path(job.path) as partial_path,
        FaceShardWriter(partial_path, size=settings.size, storage=settings.storage) as writer,
    ):
        for clip in unit.clips:
            # A trial without a usable annotation file is recorded there, and nothing could be learned from its face.
            if clip.name in trials or not unit.recipe.corpus.continuous:
                _add(clip, writer, settings, trials.get(clip.name), outcome)
            job.advance(1)
    return outcome.details()


def _add(
    clip: Clip, writer: FaceShardWriter, settings: FaceSettings, annotation: Annotation | None, outcome: Outcome
) -> None:
    """Append a clip's crops; say where they come from, and what could not be used."""
    file = clip.files.get("crops") or clip.files.get("video")
    if file is None:
        return
    published = None
    try:
        if annotation is not None and "crops" in clip.files:
            published = read_published_crops(file, annotation.times, settings.size)
        frames = writer.add(clip.name, published or _cropped(clip, file, settings))
    except UnreadableMedia as error:
        outcome.failures.append(Failure(clip.name, "faces", str(error.file), error.reason))
        return
    outcome.coverage[clip.name] = {"faces": frames.coverage}
    if frames.coverage == 0 or frames.coverage < settings.min_coverage:
        outcome.coverage[clip.name] = {"faces": 0.0}
        reason = _no_face(int(frames.valid.sum()), len(frames.valid), settings.min_coverage)
        outcome.failures.append(Failure(clip.name, "faces", str(file), reason))
    if annotation is not None:
        outcome.attributes[clip.name] = {"crops": "own" if published is None else "published"}
    if published is not None:
        outcome.failures += _lost_images(clip, published)


def _lost_images(clip: Clip, crops: PublishedCrops) -> list[Failure]:
    """Images that cost their frame, and not the trial."""
    reasons = [(str(crops.folder / name), "the image cannot be read") for name in crops.unreadable]
    if crops.beyond:
        reasons.append((str(crops.folder), f"{crops.beyond} images belong to no annotated row"))
    return [Failure(clip.name, "faces", file, reason, tolerated=True) for file, reason in reasons]


def _cropped(clip: Clip, file: Path, settings: FaceSettings) -> Iterator[FaceCrop]:
    detector = _detector(settings.detector)
    return crop_faces(file, settings, detector=detector, side=clip.attributes.get("side", ""))


@cache
def _detector(name: str) -> Detector:
    """Made once a process, which has one core to itself: OpenCV's own threads would only fight over it."""
    cv2.setNumThreads(1)
    return make_detector(FaceSettings.model_validate({"detector": name}))


def _no_face(found: int, frames: int, least: float) -> str:
    if not found:
        return f"no face found in any of its {frames} frames"
    return f"a face in only {found} of its {frames} frames, less than faces.min_coverage = {least}"


FACES = ShardKind(name="faces", modalities=("faces",), settings=_settings, inputs=_inputs, build=_build)
