"""Looking at a corpus before hours of work: what is there, what is missing, what cannot be read.

Every video is opened and its first frame decoded, every biosignal file is parsed and its channels judged by the rules
of preprocessing. No video is decoded to its end, so damage further in is found by preprocessing only.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.corpora.biovid import index_biovid
from pipelines.corpora.clip import Clip, Corpus, Failure
from pipelines.corpora.progress import Progress
from pipelines.errors import UnreadableMedia
from pipelines.media.biosignals import check_channel, read_biosignals
from pipelines.media.video import probe
from pipelines.recipe import BiosignalSettings, BioVidCorpus

SOURCES = {"faces": "video", "biosignals": "biosignals"}
"""Modality of a failure -> kind of file it is read from."""


@dataclass
class FileCount:
    """The files of one modality: `there` + `missing` are all that the index names, `unreadable` are among `there`.

    `seen` counts the values of each property that should be the same everywhere, e.g. {"Hz": {"25": 8700}}.
    """

    there: int = 0
    missing: int = 0
    unreadable: int = 0
    seen: dict[str, Counter[str]] = field(default_factory=dict)

    def see(self, name: str, value: str) -> None:
        """Count the value of one file's property."""
        self.seen.setdefault(name, Counter())[value] += 1


@dataclass(frozen=True)
class ValidationReport:
    """What was found.

    Attributes:
        root: the folder looked at.
        clips_per_class: every class of the task in order, also those without a clip.
        subjects_by_sex: e.g. {"m": 44, "w": 43}.
        files: "faces" and "biosignals".
        problems: missing and unreadable files, unusable rows of the index, channels that count as missing.
    """

    root: Path
    clips_per_class: Mapping[str, int]
    subjects_by_sex: Mapping[str, int]
    files: Mapping[str, FileCount]
    problems: tuple[Failure, ...]

    @property
    def clips(self) -> int:
        """Clips that the index names and that can be meant."""
        return sum(self.clips_per_class.values())

    @property
    def subjects(self) -> int:
        """Subjects with at least one such clip."""
        return sum(self.subjects_by_sex.values())


def validate_corpus(
    settings: BioVidCorpus, *, biosignals: BiosignalSettings | None = None, progress: Progress | None = None
) -> ValidationReport:
    """Read the layout and open every file.

    Args:
        settings: the corpus; only clips of its task and subjects are looked at.
        biosignals: what a recording is judged by; the defaults where None.
        progress: moved clip by clip.

    Raises:
        SettingsError, MtpkdError: the layout itself cannot be read, see `index_biovid`.
    """
    corpus = index_biovid(settings)
    biosignals = biosignals or BiosignalSettings()
    files = {modality: FileCount() for modality in SOURCES}
    problems = list(corpus.missing)
    for failure in corpus.missing:
        if failure.modality in files:
            files[failure.modality].missing += 1
    if progress is not None:
        progress.reset(len(corpus.clips))
    for clip in corpus.clips:
        problems += _look(clip, files, biosignals)
        if progress is not None:
            progress.update(1)
    labels = Counter(clip.label for clip in corpus.clips)
    return ValidationReport(
        root=corpus.root,
        clips_per_class={name: labels[index] for index, name in enumerate(corpus.task.labels)},
        subjects_by_sex=_subjects_by_sex(corpus),
        files=files,
        problems=tuple(problems),
    )


def _look(clip: Clip, files: Mapping[str, FileCount], biosignals: BiosignalSettings) -> list[Failure]:
    """Open the files of one clip; count them and say what is wrong with them."""
    problems = []
    for modality, kind in SOURCES.items():
        path = clip.files.get(kind)
        if path is None:
            continue
        count = files[modality]
        count.there += 1
        try:
            faults = _look_at_video(path, count) if kind == "video" else _look_at_signals(path, count, biosignals)
        except UnreadableMedia as error:
            count.unreadable += 1
            faults = {modality: error.reason}
        problems += [Failure(clip.name, name, str(path), reason) for name, reason in faults.items()]
    return problems


def _look_at_video(path: Path, count: FileCount) -> dict[str, str]:
    info = probe(path)
    count.see("pixels", f"{info.width}x{info.height}")
    count.see("Hz", f"{info.rate:.4g}")
    if info.frames is not None:
        count.see("frames", str(info.frames))
    return {}


def _look_at_signals(path: Path, count: FileCount, settings: BiosignalSettings) -> dict[str, str]:
    """Channel -> why it counts as missing."""
    recording = read_biosignals(path, settings)
    count.see("Hz", f"{recording.rate:.4g}")
    count.see("samples", str(len(next(iter(recording.channels.values())))))
    judged = {name: check_channel(x, recording.rate, settings) for name, x in recording.channels.items()}
    return {name: quality.reason for name, quality in judged.items() if not quality.present}


def _subjects_by_sex(corpus: Corpus) -> dict[str, int]:
    sexes = {clip.group: clip.attributes["sex"] for clip in corpus.clips}
    return dict(sorted(Counter(sexes.values()).items()))
