"""The valence-arousal track of Aff-Wild2 as it lies on disk; `affwild2_layout` finds its parts.

- A clip is a trial: one person's annotation file. The group is the video, because the two trials of a video that shows
  two people (`x_left`, `x_right`) have sound and scene in common.
- The annotations say which trials there should be, the disk says which there are. A trial without faces or sound is a
  recorded failure, and the run goes on; videos without annotations are those of the official test set.
- Where a name occurs twice, one file is used, always the same, and the others are recorded.
- Annotation files are not read here: `read_annotations` does, when a trial is worked on.
"""

import logging
import re
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path

from pipelines.corpora.affwild2_annotations import COLUMNS
from pipelines.corpora.affwild2_layout import TRAIN, VALIDATION, Layout, find_layout
from pipelines.corpora.clip import Clip, Corpus, Failure
from pipelines.recipe import AffWild2Corpus, Task

log = logging.getLogger("mtpkd")

NO_ANNOTATION = "there is no annotation file for it"
"""Reason of the tolerated failure of a video or of images that nobody annotated."""

_SIDE = re.compile(r"(?P<video>.+)_(?P<side>left|right)", re.IGNORECASE)


def task_of(settings: AffWild2Corpus) -> Task:
    """Valence and arousal, of every frame."""
    return Task(kind="continuous", labels=COLUMNS)


def index_affwild2(settings: AffWild2Corpus) -> Corpus:
    """List the annotated trials, their files, and what is not there.

    Args:
        settings: where the corpus lies, and whether its published crops are used.

    Returns:
        Clips sorted by name, with files "annotations" and, where they exist, "crops" (a folder) and "video";
        attributes "set" ("train" or "validation") and "side" ("left", "right", or "" where the video is the trial's
        alone). `missing` holds what is not there (modality "faces" or "audio"), names that occur twice ("annotations"
        or "faces"), and what nobody annotated ("all").

    Raises:
        SettingsError: the root does not exist or holds no annotation.
    """
    layout = find_layout(settings.root)
    for what, where in layout.told():
        log.info("%s: %s", what, where)
    return index_layout(settings, layout)


def index_layout(settings: AffWild2Corpus, layout: Layout) -> Corpus:
    """The corpus of a layout that was found before; see `index_affwild2`."""
    missing: list[Failure] = []
    trials = _trials(layout, missing)
    videos = _by_name(layout.videos, lambda path: path.stem)
    crops = _by_name(layout.crops if settings.crops == "published" else [], lambda path: path.name)
    clips = tuple(_clip(name, trials[name], videos, crops) for name in sorted(trials))
    for clip in clips:
        missing += _absences(clip, settings)
    groups = {clip.group for clip in clips}
    missing += _duplicates({name: videos[name] for name in sorted(groups & set(videos))}, "video")
    missing += _duplicates({name: crops[name] for name in sorted(set(trials) & set(crops))}, "folder of images")
    missing += _unannotated(groups, trials, videos, crops)
    return Corpus(name=settings.name, root=settings.root, task=task_of(settings), clips=clips, missing=tuple(missing))


def split_side(name: str, videos: Container[str]) -> tuple[str, str]:
    """Name of the video of a trial, and the side of the picture that its person is on.

    The side is empty, and the name unchanged, where nothing is to be stripped or a video has the trial's very name.
    """
    match = _SIDE.fullmatch(name)
    if match is None or name in videos:
        return name, ""
    return match["video"], match["side"].casefold()


def _trials(layout: Layout, missing: list[Failure]) -> dict[str, tuple[str, Path]]:
    """Name -> set and annotation file of every trial; the validation set has the last word."""
    trials: dict[str, tuple[str, Path]] = {}
    for which in (VALIDATION, TRAIN):
        for path in layout.annotations[which]:
            kept = trials.setdefault(path.stem, (which, path))
            if kept == (which, path):
                continue
            if kept[0] != which:
                reason, harmless = "the trial is in both sets: its file of the validation set is used", False
            else:
                reason, harmless = _second("annotation file"), _same_size(kept[1], path)
            missing.append(Failure(path.stem, "annotations", str(path), reason, tolerated=harmless))
    return trials


def _by_name(paths: Iterable[Path], name_of: Callable[[Path], str]) -> dict[str, list[Path]]:
    named: dict[str, list[Path]] = {}
    for path in paths:
        named.setdefault(name_of(path), []).append(path)
    return named


def _clip(
    name: str, trial: tuple[str, Path], videos: Mapping[str, list[Path]], crops: Mapping[str, list[Path]]
) -> Clip:
    group, side = split_side(name, videos)
    files = {"annotations": trial[1]}
    if name in crops:
        files["crops"] = crops[name][0]
    if group in videos:
        files["video"] = videos[group][0]
    return Clip(name=name, group=group, label=None, files=files, attributes={"set": trial[0], "side": side})


def _absences(clip: Clip, settings: AffWild2Corpus) -> list[Failure]:
    annotations = str(clip.files["annotations"])
    failures = []
    if not {"crops", "video"} & set(clip.files):
        reason = "no video and no cropped images" if settings.crops == "published" else "no video to crop"
        failures.append(Failure(clip.name, "faces", annotations, reason))
    if "video" not in clip.files:
        failures.append(Failure(clip.name, "audio", annotations, "no video to take sound from"))
    return failures


def _duplicates(named: Mapping[str, list[Path]], what: str) -> list[Failure]:
    """Copies cost nothing; which of two different files the annotations are about is not known."""
    return [
        Failure(name, "faces", str(path), _second(what), tolerated=_same_size(paths[0], path))
        for name, paths in named.items()
        for path in paths[1:]
    ]


def _second(what: str) -> str:
    return f"a second {what} of this name: the first one is used"


def _same_size(first: Path, second: Path) -> bool:
    """Whether two files look like copies of each other; folders of images are not compared."""
    return first.is_dir() or first.stat().st_size == second.stat().st_size


def _unannotated(
    groups: set[str], trials: Mapping[str, object], videos: Mapping[str, list[Path]], crops: Mapping[str, list[Path]]
) -> list[Failure]:
    """One failure a video that no trial is of, and one a folder of images that belongs neither to it nor to a trial."""
    unused = {name: paths[0] for name, paths in videos.items() if name not in groups}
    for name, paths in crops.items():
        if name not in trials and split_side(name, videos)[0] not in unused:
            unused[name] = paths[0]
    return [Failure(name, "all", str(unused[name]), NO_ANNOTATION, tolerated=True) for name in sorted(unused)]
