"""Where the parts of Aff-Wild2 lie: names and nesting differ between releases, so the whole root is searched.

- A folder is known by its name, in any case and with any separator: `cropped_aligned...` holds one folder of images a
  trial, `VA_...` the valence-arousal track, and directly in it `Train_Set` and `Validation_Set` the annotations. The
  other tracks have sets of those names too, with other annotations; they are left alone. Videos may lie anywhere else.
- A release has three million images. A trial's folder is left at its first image, any other folder of nothing but
  images after a hundred.
- Hidden files are passed over: macOS leaves a `._x.txt` beside every `x.txt` that it packs.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import SettingsError

log = logging.getLogger("mtpkd")

TRAIN, VALIDATION = "train", "validation"
"""The two annotated sets of the official split."""

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv"})
"""Of videos, in lower case."""

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
"""Of face crops, in lower case."""

_MANY_IMAGES = 100
_TRACK = re.compile(r"va(_.*)?")
_SETS = {TRAIN: re.compile(r"train(ing)?(_set)?"), VALIDATION: re.compile(r"val(id(ation)?)?(_set)?")}

_SEARCHED, _IN_TRACK, _CROPS, _TRIAL = "searched", "track", "crops", "trial"
"""What a folder is, besides one of the two sets."""


@dataclass
class Layout:
    """What was found below a root, each list sorted by path.

    Attributes:
        annotations: set -> annotation files of its trials.
        videos: every video file.
        crops: every folder of a trial's images, with at least one image.
        foreign_sets: folders named as the two sets, outside of the valence-arousal track.
    """

    root: Path
    annotations: dict[str, list[Path]] = field(default_factory=lambda: {TRAIN: [], VALIDATION: []})
    videos: list[Path] = field(default_factory=list)
    crops: list[Path] = field(default_factory=list)
    foreign_sets: list[Path] = field(default_factory=list)

    def told(self) -> list[tuple[str, str]]:
        """(what, how many of it and where), in words."""
        lines = [
            (f"{name} annotations", self._where(files, "file")) for name, files in self.annotations.items() if files
        ]
        if self.videos:
            lines.append(("videos", self._where(self.videos, "file")))
        if self.crops:
            lines.append(("crops", self._where(self.crops, "folder")))
        return lines

    def _where(self, paths: Iterable[Path], unit: str) -> str:
        folders = Counter(path.parent.relative_to(self.root) for path in paths)
        return ", ".join(
            f"{number:,} {unit}{'s' if number > 1 else ''} in {folder}" for folder, number in folders.items()
        )


def find_layout(root: Path) -> Layout:
    """Search a root.

    Raises:
        SettingsError: the root is absent, or holds no annotation at all; names what was looked for and what is there.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise SettingsError(f"{root} {what}: put the corpus there, or give the folder that holds it")
    layout = Layout(root)
    pending, seen = [(root, _role_of(root.resolve().name, _SEARCHED))], set()
    while pending:
        folder, role = pending.pop()
        try:
            status = os.stat(folder)
            # A link may lead back to a folder above it.
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                # In order of their names, so that of several links to one folder it is always the same that counts.
                pending += sorted(_look_into(folder, role, layout), reverse=True)
        except OSError as error:
            log.warning("%s cannot be listed (%s) and is left out", folder, (error.strerror or "error").lower())
    for found in (*layout.annotations.values(), layout.videos, layout.crops, layout.foreign_sets):
        found.sort(key=str)
    if not any(layout.annotations.values()):
        raise SettingsError(_nothing_found(layout))
    return layout


def _look_into(folder: Path, role: str, layout: Layout) -> list[tuple[Path, str]]:
    """Take what belongs to a folder's role; returns the folders in it that are to be searched, with their roles."""
    inner: list[tuple[Path, str]] = []
    images = others = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            suffix = os.path.splitext(entry.name)[1].casefold()
            if suffix in IMAGE_SUFFIXES:
                images += 1
                if role == _TRIAL:
                    layout.crops.append(folder)
                    return []
                if role not in _SETS and role != _CROPS and images >= _MANY_IMAGES and not others:
                    return []
                continue
            others += 1
            path = folder / entry.name
            if entry.is_dir():
                inner.append((path, _role_of(entry.name, role)))
                if role == _SEARCHED and _set_of(entry.name):
                    layout.foreign_sets.append(path)
            elif suffix == ".txt" and role in _SETS and entry.is_file():
                layout.annotations[role].append(path)
            elif suffix in VIDEO_SUFFIXES and role in (_SEARCHED, _IN_TRACK) and entry.is_file():
                layout.videos.append(path)
    return inner


def _role_of(name: str, parent: str) -> str:
    """What a folder is, by its name and by what the folder around it is."""
    name = _normalised(name)
    if parent in (_CROPS, _TRIAL):
        return _CROPS if name.startswith("cropped_aligned") else _TRIAL
    if parent in _SETS:
        return parent
    if name.startswith("cropped_aligned"):
        return _CROPS
    if parent == _IN_TRACK and (which := _set_of(name)):
        return which
    return _IN_TRACK if _TRACK.fullmatch(name) else _SEARCHED


def _set_of(name: str) -> str | None:
    return next((which for which, shape in _SETS.items() if shape.fullmatch(_normalised(name))), None)


def _normalised(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.casefold())


def _nothing_found(layout: Layout) -> str:
    foreign = [str(path.relative_to(layout.root)) for path in layout.foreign_sets]
    elsewhere = f"; not directly in a folder VA_...: {', '.join(foreign[:4])}" if foreign else ""
    names = sorted(name for name in os.listdir(layout.root) if not name.startswith("."))
    there = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return (
        f"{layout.root} holds no valence-arousal annotation of Aff-Wild2: looked at any depth for "
        f"VA_Estimation_Challenge/{{Train_Set,Validation_Set}}/<trial>.txt, found videos: {len(layout.videos)}, "
        f"folders of crops: {len(layout.crops)}, at the top: {there or 'nothing'}{elsewhere}"
    )
