"""Looking at Aff-Wild2 before hours of work: what lies where, and how well its parts fit each other.

Every annotation file is read whole, every folder of crops listed, every video opened and its first frame and first
sound decoded. No video is decoded to its end and no crop at all: frames are counted as the container declares them.

What is in the nature of the corpus is noted and is no problem: videos that nobody annotated or that have no sound,
faces that were not found in some frames, trials whose rows and frames differ by a few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipelines.corpora.affwild2 import index_layout
from pipelines.corpora.affwild2_annotations import FEW_FRAMES, FEW_SHARE, Annotations, is_few, read_annotations
from pipelines.corpora.affwild2_layout import TRAIN, VALIDATION, find_layout
from pipelines.corpora.clip import Clip, Failure
from pipelines.corpora.progress import Progress
from pipelines.corpora.validation_report import FileCount, Total, ValidationReport
from pipelines.errors import UnreadableMedia
from pipelines.media.audio import NO_TRACK, probe_audio
from pipelines.media.published_crops import read_published_crops
from pipelines.media.video import probe
from pipelines.recipe import AffWild2Corpus

APART_SECONDS = 0.05
"""Sound and pictures that start further apart than this are noted; encoders alone put a frame of sound between them."""

_EXAMPLES = 3
_ANY_SIZE = 112
"""Side of crops that are listed and never read."""


@dataclass
class _Kind:
    """Places of one kind, each with an amount; told with the largest first."""

    modality: str
    reason: str
    """May name `largest` and `total` of the amounts."""
    tolerated: bool
    places: list[tuple[float, str, str]] = field(default_factory=list)

    def add(self, clip: str, place: str, amount: float) -> None:
        self.places.append((amount, clip, place))

    def failures(self) -> list[Failure]:
        if not self.places:
            return []
        amounts = [amount for amount, _, _ in self.places]
        reason = self.reason.format(largest=max(amounts), total=sum(amounts))
        ordered = sorted(self.places, key=lambda place: -place[0])
        return [Failure(clip, self.modality, place, reason, self.tolerated) for _, clip, place in ordered]


def _too_many(what: str) -> str:
    return f"{what}, more than {100 * FEW_SHARE:g} % and {FEW_FRAMES} frames"


def _kinds() -> dict[str, _Kind]:
    apart, beyond = "rows and frames of the video differ by up to {largest:,}", "up to {largest:,} images have no row"
    return {
        "apart": _Kind("annotations", apart, tolerated=True),
        "far apart": _Kind("annotations", _too_many(apart), tolerated=False),
        "beyond": _Kind("crops", beyond, tolerated=True),
        "far beyond": _Kind("crops", _too_many(beyond), tolerated=False),
        "gaps": _Kind("crops", "rows without an image, up to {largest:,} in a trial, {total:,} in all", tolerated=True),
        "sound apart": _Kind("audio", "sound and pictures start up to {largest:.2f} s apart", tolerated=True),
    }


@dataclass
class _Inspection:
    """What has been seen so far; videos are counted by group, annotations and crops by trial."""

    files: dict[str, FileCount]
    kinds: dict[str, _Kind] = field(default_factory=_kinds)
    failures: list[Failure] = field(default_factory=list)
    rows: int = 0
    annotated: int = 0
    faulty: int = 0
    images: int = 0
    rows_with_crops: int = 0

    def look_at_video(self, group: str, path: Path | None) -> int | None:
        """Number of frames that a video declares, None where that is not known."""
        count = self.files["video"]
        if path is None:
            count.missing += 1
            self.files["audio"].missing += 1
            return None
        count.there += 1
        try:
            info = probe(path)
        except UnreadableMedia as error:
            count.unreadable += 1
            self.failures.append(Failure(group, "faces", str(path), error.reason))
            return None
        count.see("format", path.suffix.casefold().removeprefix("."))
        count.see_video(info)
        if info.frames is None:
            reason = "the container does not say how many frames there are"
            self.failures.append(Failure(group, "faces", str(path), reason, tolerated=True))
        self._look_at_sound(group, path)
        return info.frames

    def _look_at_sound(self, group: str, path: Path) -> None:
        count = self.files["audio"]
        try:
            info = probe_audio(path)
        except UnreadableMedia as error:
            count.there, count.unreadable = count.there + 1, count.unreadable + 1
            self.failures.append(Failure(group, "audio", str(path), error.reason))
            return
        if info is None:
            count.missing += 1
            self.failures.append(Failure(group, "audio", str(path), NO_TRACK, tolerated=True))
            return
        count.there += 1
        count.see_sound(info)
        apart = 0.0 if info.video_start_s is None else info.start_s - info.video_start_s
        if abs(apart) > APART_SECONDS:
            self.kinds["sound apart"].add(group, f"{path}: sound {apart:+.2f} s after the pictures", abs(apart))

    def look_at_trial(self, clip: Clip, frames: int | None) -> None:
        """Read a trial's annotations, and compare their rows with its images and the frames of its video."""
        path, count = clip.files["annotations"], self.files["annotations"]
        count.there += 1
        if "crops" not in clip.files and "crops" in self.files:
            self.files["crops"].missing += 1
        try:
            annotations = read_annotations(path)
        except UnreadableMedia as error:
            count.unreadable += 1
            self.failures.append(Failure(clip.name, "annotations", str(path), error.reason))
            return
        self._count_rows(clip, annotations)
        rows = len(annotations.values)
        if frames is not None and rows != frames:
            place = f"{path}: {rows:,} rows, {frames:,} frames"
            self._measure("apart", clip, place, abs(rows - frames), rows)
        if "crops" in clip.files:
            self._look_at_crops(clip, clip.files["crops"], rows)

    def _count_rows(self, clip: Clip, annotations: Annotations) -> None:
        path, annotated = clip.files["annotations"], int(annotations.annotated.sum())
        self.rows += len(annotations.values)
        self.annotated += annotated
        self.faulty += len(annotations.faults)
        for line, fault in annotations.faults:
            place, reason = f"{path}:{line}: {fault}", "lines that cannot be used; their frames are left out"
            self.failures.append(Failure(clip.name, "annotations", place, reason))
        if not annotated:
            self.failures.append(Failure(clip.name, "annotations", str(path), "no frame is annotated"))

    def _look_at_crops(self, clip: Clip, folder: Path, rows: int) -> None:
        count = self.files["crops"]
        count.there += 1
        try:
            crops = read_published_crops(folder, np.arange(rows), _ANY_SIZE)
        except UnreadableMedia as error:
            count.unreadable += 1
            self.failures.append(Failure(clip.name, "crops", str(folder), error.reason))
            return
        absent = rows - len(crops.images)
        self.images += len(crops.images)
        self.rows_with_crops += rows
        if absent == rows:
            reason = "no image has the number of a row"
            self.failures.append(Failure(clip.name, "crops", str(folder), reason))
        elif absent:
            self.kinds["gaps"].add(clip.name, f"{folder}: {absent:,} of {rows:,} rows", absent)
        if crops.beyond:
            place = f"{folder}: {crops.beyond:,} images, {rows:,} rows"
            self._measure("beyond", clip, place, crops.beyond, rows)

    def _measure(self, kind: str, clip: Clip, place: str, amount: int, rows: int) -> None:
        self.kinds[kind if is_few(amount, rows) else f"far {kind}"].add(clip.name, place, amount)


def validate_affwild2(settings: AffWild2Corpus, *, progress: Progress | None = None) -> ValidationReport:
    """Search the root and open every file of every annotated trial.

    Returns:
        Totals "trials", "videos" (groups) and "frames" (rows), and "images" where there are crops; files "annotations"
        and "crops" counted by trial, "video" and "audio" by video.

    Raises:
        SettingsError: the root does not exist or holds no annotation.
    """
    layout = find_layout(settings.root)
    corpus = index_layout(settings, layout)
    kinds = ("annotations", "video", "audio", *(("crops",) if settings.crops == "published" else ()))
    inspection = _Inspection({kind: FileCount() for kind in kinds})
    inspection.failures += corpus.missing
    groups: dict[str, list[Clip]] = {}
    for clip in corpus.clips:
        groups.setdefault(clip.group, []).append(clip)
    if progress is not None:
        progress.reset(len(corpus.clips))
    for group, clips in groups.items():
        frames = inspection.look_at_video(group, clips[0].files.get("video"))
        for clip in clips:
            inspection.look_at_trial(clip, frames)
            if progress is not None:
                progress.update(1)
        inspection.failures += _split_video(group, clips)
    return ValidationReport(
        root=settings.root,
        layout=tuple(layout.told()),
        totals=_totals(groups, inspection),
        files=inspection.files,
        found=tuple(inspection.failures + [f for kind in inspection.kinds.values() for f in kind.failures()]),
        examples=_EXAMPLES,
    )


def _split_video(group: str, clips: Sequence[Clip]) -> list[Failure]:
    if len({clip.attributes["set"] for clip in clips}) == 1:
        return []
    files = " and ".join(str(clip.files["annotations"]) for clip in clips)
    return [Failure(group, "annotations", files, "trials of one video are in both sets")]


def _totals(groups: Mapping[str, Sequence[Clip]], inspection: _Inspection) -> tuple[Total, ...]:
    trials: dict[str, int] = dict.fromkeys((TRAIN, VALIDATION), 0)
    videos = dict(trials)
    for clips in groups.values():
        for which in trials:
            inside = sum(clip.attributes["set"] == which for clip in clips)
            trials[which] += inside
            videos[which] += inside > 0
    shared = sum(len(clips) > 1 or clips[0].attributes["side"] != "" for clips in groups.values())
    left_out = inspection.rows - inspection.annotated - inspection.faulty
    frames = f"{inspection.annotated:,} annotated, {_percent(left_out, inspection.rows)} are -5"
    totals = [
        Total("trials", sum(trials.values()), _told(trials)),
        Total("videos", len(groups), f"{_told(videos)}; {shared:,} with two people"),
        Total("frames", inspection.rows, frames),
    ]
    if inspection.rows_with_crops:
        share = _percent(inspection.images, inspection.rows_with_crops)
        totals.append(Total("images", inspection.images, f"for {share} of the rows of their trials"))
    return tuple(totals)


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{which} {number:,}" for which, number in counts.items())


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole if whole else 0:.1f} %"
