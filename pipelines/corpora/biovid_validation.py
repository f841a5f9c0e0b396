"""Looking at BioVid before hours of work: what is there, what is missing, what cannot be read.

Every video is opened and its first frame decoded, every biosignal file is parsed and its channels judged by the rules
of preprocessing. No video is decoded to its end, so damage further in is found by preprocessing only.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pipelines.corpora.biovid import index_biovid
from pipelines.corpora.clip import Clip, Corpus, Failure
from pipelines.corpora.progress import Progress, tracked
from pipelines.corpora.validation_report import FileCount, Total, ValidationReport, count_missing
from pipelines.errors import UnreadableMedia
from pipelines.media.biosignals import check_channel, read_biosignals
from pipelines.media.video import probe
from pipelines.recipe import BiosignalSettings, BioVidCorpus

SOURCES = {"faces": "video", "biosignals": "biosignals"}
"""Modality of a failure -> kind of file it is read from."""


def validate_biovid(
    settings: BioVidCorpus, *, biosignals: BiosignalSettings | None = None, progress: Progress | None = None
) -> ValidationReport:
    """Read the layout and open every file.

    Args:
        settings: the corpus; only clips of its task and subjects are looked at.
        biosignals: what a recording is judged by; the defaults where None.
        progress: moved clip by clip.

    Returns:
        Totals "subjects" (by sex) and "clips" (by class); files "faces" and "biosignals"; as problems missing and
        unreadable files, unusable rows of the index, and channels that count as missing.

    Raises:
        SettingsError, MtpkdError: the layout itself cannot be read, see `index_biovid`.
    """
    corpus = index_biovid(settings)
    biosignals = biosignals or BiosignalSettings()
    files = count_missing(SOURCES, corpus.missing)
    found = list(corpus.missing)
    for clip in tracked(corpus.clips, progress):
        found += _look(clip, files, biosignals)
    return ValidationReport(root=corpus.root, totals=_totals(corpus), files=files, found=tuple(found))


def _totals(corpus: Corpus) -> tuple[Total, ...]:
    sexes = Counter({clip.group: clip.attributes["sex"] for clip in corpus.clips}.values())
    labels = Counter(clip.label for clip in corpus.clips)
    classes = [f"{name} {labels[index]:,}" for index, name in enumerate(corpus.task.labels) if labels[index]]
    return (
        Total("subjects", sexes.total(), ", ".join(f"{count} {sex}" for sex, count in sorted(sexes.items()))),
        Total("clips", labels.total(), "   ".join(classes)),
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
    count.see_video(info)
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
