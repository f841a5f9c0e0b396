"""The BioVid Heat Pain Database as it lies on disk.

- `samples.csv` says which clips there should be; the disk says which there are. A file that is not there is a recorded
  failure of that clip's modality, and the run goes on.
- One row that cannot be used (unknown class, odd name, duplicate) is a recorded failure of that clip. What concerns
  every clip (no root, no such layout, no header) stops the run at once, saying what was looked for and what was found.
- A sample's name is matched as a whole before a path is made from it, so no row can lead out of the corpus.
- Each subject's folder is listed once, instead of asking the file system 17,400 times.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.corpora.biovid_subjects import NO_VISIBLE_REACTION
from pipelines.corpora.clip import Clip, Corpus, Failure
from pipelines.errors import MtpkdError, SettingsError, UnreadableMedia
from pipelines.media.whole_file import read_whole
from pipelines.recipe import BioVidCorpus, Task

CLASSES = ("BL1", "PA1", "PA2", "PA3", "PA4")
"""Class names in order of their `class_id`: no pain, then four rising temperatures."""

MAX_BYTES = 64 * 2**20
"""Largest `samples.csv` that is read: the 8,700 rows of Part A have half a megabyte."""
ALL_MODALITIES = "all"
"""Modality of a failure that makes the whole clip unusable."""

_COLUMNS = ("subject_name", "class_id", "class_name", "sample_name")
_SAMPLE = re.compile(r"(?P<subject>\d{6}_[wm]_\d{2})-(?P<label>[A-Z]+\d)-\d{3}", re.ASCII)
_NAME_SHAPE = "<six digits>_<w|m>_<age>-<class>-<three digits>, e.g. 071309_w_21-BL1-081"


@dataclass(frozen=True)
class _Sample:
    name: str
    subject: str
    class_name: str


def task_of(settings: BioVidCorpus) -> Task:
    """BL1 against PA4, or five classes that are also read as a scale."""
    if settings.task == "pain-binary":
        return Task(kind="classes", labels=(CLASSES[0], CLASSES[-1]))
    return Task(kind="classes", labels=CLASSES, ordinal=True)


def index_biovid(settings: BioVidCorpus) -> Corpus:
    """List the clips of a part, their files, and what is not there.

    Args:
        settings: where the corpus lies, and which part, subjects, classes and recording of biosignals are used.

    Returns:
        Clips sorted by name with files "video" and "biosignals"; `missing` holds a Failure a file that is not there
        (modality "faces" or "biosignals") and one a row of `samples.csv` that cannot be used (modality "all").

    Raises:
        SettingsError: the root does not hold the layout, or no clip is left after the filter.
        MtpkdError: `samples.csv` cannot be read.
    """
    part = find_part(settings.root, settings.part)
    table = _unnest(part / "starting_point") / "samples.csv"
    samples, missing = _read_samples(table)
    task = task_of(settings)
    left_out = set(NO_VISIBLE_REACTION) if settings.subjects == "reactive" else set()
    used = [sample for sample in samples if sample.class_name in task.labels and sample.subject not in left_out]
    if not used:
        raise SettingsError(_no_clip_left(table, settings, len(samples), missing))
    video, biosignals = _Folder(part / "video", ".mp4"), _Folder(part / settings.biosignals, "_bio.csv")
    if not video.exists and not biosignals.exists:
        raise SettingsError(
            f"{part} holds neither video/ nor {settings.biosignals}/ (found {_listing(part)}): unpack at least one"
        )
    clips = []
    for sample in sorted(used, key=lambda sample: sample.name):
        files = {}
        for kind, modality, folder in (("video", "faces", video), ("biosignals", "biosignals", biosignals)):
            path = folder.path_of(sample)
            if folder.holds(path):
                files[kind] = path
            else:
                missing.append(Failure(sample.name, modality, str(path), folder.why_missing))
        clips.append(_clip(sample, task, files))
    return Corpus(name=settings.name, root=settings.root, task=task, clips=tuple(clips), missing=tuple(missing))


def find_part(root: Path, part: str) -> Path:
    """The folder of Part A or B: `root/PartA`, `root/partA`, or `root` itself; each may be nested in its own name.

    Raises:
        SettingsError: the root is absent or holds no such folder; names what was looked for and what is there.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise SettingsError(f"{root} {what}: put the corpus there, or give the folder that holds Part{part}")
    name = f"part{part}".casefold()
    candidates = [root / entry for entry in sorted(os.listdir(root)) if entry.casefold() == name] + [root]
    for candidate in map(_unnest, candidates):
        if not (candidate / "starting_point").is_dir():
            continue
        if candidate.resolve().name.casefold() in {"parta", "partb"} - {name}:
            raise SettingsError(f"{candidate} is the other part of BioVid, and corpus.part is {part}")
        return candidate
    raise SettingsError(
        f"{root} is not BioVid's Part {part}: looked for {root / f'Part{part}' / 'starting_point'} and "
        f"{root / 'starting_point'}, found {_listing(root)}"
    )


class _Folder:
    """One kind of file, one folder a subject; listings are read once each."""

    def __init__(self, path: Path, suffix: str) -> None:
        self.exists = path.is_dir()
        self._path = _unnest(path)
        self._suffix = suffix
        self._names = cache(_file_names)

    @property
    def why_missing(self) -> str:
        """Reason of a Failure: the same text for every file, so that failures can be counted by it."""
        if self.exists:
            return "file does not exist"
        return f"the corpus has no folder {self._path.name}"

    def path_of(self, sample: _Sample) -> Path:
        return self._path / sample.subject / f"{sample.name}{self._suffix}"

    def holds(self, path: Path) -> bool:
        return path.name in self._names(path.parent)


def _file_names(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


def _unnest(folder: Path) -> Path:
    """Step into `video/video`: some tools unpack an archive into a folder of its own name."""
    while (inner := folder / folder.name).is_dir() and folder.name:
        folder = inner
    return folder


def _read_samples(table: Path) -> tuple[list[_Sample], list[Failure]]:
    """Rows of `samples.csv` that can be used, and a Failure for each that cannot."""
    samples: dict[str, _Sample] = {}
    failures = []
    for number, row in _rows(table):
        name = row["sample_name"]
        if reason := _fault(row):
            failures.append(Failure(_one_line(name) or f"line {number}", ALL_MODALITIES, f"{table}:{number}", reason))
        elif name in samples:
            # Under its line, not its name: the clip itself is there, once.
            failures.append(Failure(f"line {number}", ALL_MODALITIES, f"{table}:{number}", f"{name} is listed twice"))
        else:
            samples[name] = _Sample(name, row["subject_name"], row["class_name"])
    return list(samples.values()), failures


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and named cells of every row that is not blank; absent cells are empty."""
    try:
        text = read_whole(table, max_bytes=MAX_BYTES).decode("utf-8-sig")
    except UnreadableMedia as error:
        raise MtpkdError(f"{table} lists the clips and cannot be read: {error.reason}; unpack it again") from None
    except UnicodeDecodeError as error:
        raise MtpkdError(f"{table} is not text ({error.reason} at byte {error.start}): unpack it again") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not text.strip():
        raise MtpkdError(f"{table} is empty: unpack it again")
    header = [name.strip() for name in lines[0].split("\t")]
    if absent := [name for name in _COLUMNS if header.count(name) != 1]:
        raise MtpkdError(
            f"{table}:1: tab-separated columns {' '.join(_COLUMNS)} expected, each once; "
            f"{' '.join(absent)} is not, in {_one_line(lines[0])!r}"
        )
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            cells = [cell.strip() for cell in line.split("\t")]
            named = dict(zip(header, cells, strict=False))
            yield number, {name: named.get(name, "") for name in _COLUMNS}


def _fault(row: dict[str, str]) -> str | None:
    """Why a row cannot be used, or None."""
    if empty := [name for name in _COLUMNS if not row[name]]:
        return f"{empty[0]} is empty"
    if row["class_name"] not in CLASSES:
        return f"class {_one_line(row['class_name'])!r} is unknown: known are {', '.join(CLASSES)}"
    if row["class_id"] != str(CLASSES.index(row["class_name"])):
        return f"class_id {_one_line(row['class_id'])!r} is not that of class {row['class_name']}"
    match = _SAMPLE.fullmatch(row["sample_name"])
    if match is None:
        return f"sample_name {_one_line(row['sample_name'])!r} is not {_NAME_SHAPE}"
    if (match["subject"], match["label"]) != (row["subject_name"], row["class_name"]):
        return f"sample_name {row['sample_name']!r} contradicts {_one_line(row['subject_name'])!r}, {row['class_name']}"
    return None


def _clip(sample: _Sample, task: Task, files: dict[str, Path]) -> Clip:
    _, sex, age = sample.subject.split("_")
    return Clip(
        name=sample.name,
        group=sample.subject,
        label=task.labels.index(sample.class_name),
        files=files,
        attributes={"sex": sex, "age": age},
    )


def _no_clip_left(table: Path, settings: BioVidCorpus, usable: int, failures: list[Failure]) -> str:
    message = (
        f"{table}: no clip is left for task {settings.task} and subjects {settings.subjects} "
        f"({usable} usable rows, {len(failures)} that are not)"
    )
    return f"{message}; first fault, {failures[0].file}: {failures[0].reason}" if failures else message


def _listing(folder: Path, most: int = 8) -> str:
    """What a folder holds, short enough for an error message."""
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    if not names:
        return "an empty folder"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _one_line(text: str, most: int = 60) -> str:
    """A value from a file, short enough for one line of a message or a table."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."
