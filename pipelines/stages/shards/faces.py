"""Shards of face crops: cut out of a video, or the corpus' own aligned images where the recipe wants those."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2

from pipelines.cache.annotations import Annotation, read_annotations
from pipelines.cache.faces import ClipFrames, FaceShardWriter
from pipelines.corpora import Clip, Failure
from pipelines.errors import UnreadableMedia
from pipelines.media.detectors import Detector, make_detector
from pipelines.media.faces import FaceCrop, crop_faces
from pipelines.media.published_crops import PublishedCrops, read_published_crops
from pipelines.recipe import FaceSettings
from pipelines.recipe.loading import plain
from pipelines.stages.artifacts import Job
from pipelines.stages.shards.unit import Outcome, ShardKind, ShardUnit
from pipelines.workspace import atomic_path


@dataclass(frozen=True)
class _Origin:
    """The modality, and the kinds of sources that its crops come from; `crops` is empty where there are only videos."""

    modality: str
    video: str
    crops: str


def _settings(origin: _Origin, unit: ShardUnit) -> dict[str, Any]:
    settings = plain(unit.recipe.faces)
    listings = {clip: _listing(folder) for clip, folder in unit.files(origin.crops).items()}
    return {**settings, "crops": listings} if listings else settings


def _listing(folder: Path) -> str:
    """Digest of the names and sizes in a folder: thousands of images are not hashed one by one at every start."""
    with os.scandir(folder) as entries:
        lines = sorted(f"{entry.name}\t{entry.stat().st_size}" for entry in entries)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _inputs(origin: _Origin, unit: ShardUnit) -> dict[str, Path]:
    published = unit.files(origin.crops)
    inputs = {clip: file for clip, file in unit.files(origin.video).items() if clip not in published}
    return {**inputs, "annotations": _annotations(unit)} if unit.recipe.corpus.continuous else inputs


def _annotations(unit: ShardUnit) -> Path:
    return unit.workspace.shard("annotations", unit.group)


def _build(origin: _Origin, unit: ShardUnit, job: Job) -> dict[str, Any]:
    outcome = Outcome()
    trials = read_annotations(_annotations(unit)) if unit.recipe.corpus.continuous else {}
    with (
        atomic_path(job.path) as partial_path,
        FaceShardWriter(partial_path, size=unit.recipe.faces.size, storage=unit.recipe.faces.storage) as writer,
    ):
        faces = _Faces(origin, unit, job, writer, outcome)
        for clip in unit.clips:
            # A trial without a usable annotation file is recorded there, and nothing could be learned from its face.
            if clip.name in trials or not unit.recipe.corpus.continuous:
                faces.add(clip, trials.get(clip.name))
            job.advance(1)
    return outcome.details()


@dataclass(frozen=True)
class _Faces:
    """One shard in the making: appends clips, and says where their crops come from and what could not be used."""

    origin: _Origin
    unit: ShardUnit
    job: Job
    writer: FaceShardWriter
    outcome: Outcome

    @property
    def settings(self) -> FaceSettings:
        """Of the crops."""
        return self.unit.recipe.faces

    def add(self, clip: Clip, annotation: Annotation | None) -> None:
        """Append a clip's crops."""
        crops = clip.files.get(self.origin.crops)
        file = crops or clip.files.get(self.origin.video)
        if file is None:
            return
        published = None
        try:
            self.unit.start(clip.name, file, self.job)
            if annotation is not None and crops is not None:
                published = read_published_crops(crops, annotation.times, self.settings.size)
            # Only the trials of a video may be two people, of whom one is meant.
            side = "" if annotation is None else clip.attributes.get("side", "")
            frames = self.writer.add(clip.name, published or _cropped(file, self.settings, side))
        except UnreadableMedia as error:
            self._fail(clip, str(error.file), error.reason)
            return
        self.outcome.coverage[clip.name] = {self.origin.modality: frames.coverage}
        if frames.coverage == 0 or frames.coverage < self.settings.min_coverage:
            self.outcome.coverage[clip.name] = {self.origin.modality: 0.0}
            self._fail(clip, str(file), _no_face(frames, self.settings.min_coverage))
        if annotation is not None:
            self.outcome.attributes[clip.name] = {"crops": "own" if published is None else "published"}
        if published is not None:
            self._record_lost_images(clip, published)

    def _fail(self, clip: Clip, file: str, reason: str, *, tolerated: bool = False) -> None:
        self.outcome.failures.append(Failure(clip.name, self.origin.modality, file, reason, tolerated=tolerated))

    def _record_lost_images(self, clip: Clip, crops: PublishedCrops) -> None:
        """Images that cost their frame, and not the trial."""
        for name in crops.unreadable:
            self._fail(clip, str(crops.folder / name), "the image cannot be read", tolerated=True)
        if crops.beyond:
            self._fail(clip, str(crops.folder), f"{crops.beyond} images belong to no annotated row", tolerated=True)


def _cropped(file: Path, settings: FaceSettings, side: str) -> Iterator[FaceCrop]:
    return crop_faces(file, settings, detector=_detector(settings.detector), side=side)


@cache
def _detector(name: str) -> Detector:
    """Made once a process, which has one core to itself: OpenCV's own threads would only fight over it."""
    cv2.setNumThreads(1)
    return make_detector(FaceSettings.model_validate({"detector": name}))


def _no_face(frames: ClipFrames, least: float) -> str:
    found, there = int(frames.valid.sum()), len(frames.valid)
    if not found:
        return f"no face found in any of its {there} frames"
    return f"a face in only {found} of its {there} frames, less than faces.min_coverage = {least}"


def face_shards(modality: str, *, video: str, crops: str = "") -> ShardKind:
    """Shards of a modality, made from one kind of source of the clips: videos, or crops where a clip has those."""
    origin = _Origin(modality, video, crops)
    return ShardKind.of_modality(
        modality,
        layout="faces",
        settings=partial(_settings, origin),
        inputs=partial(_inputs, origin),
        build=partial(_build, origin),
        of_recordings=True,
    )
