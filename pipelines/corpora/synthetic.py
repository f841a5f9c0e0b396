"""A corpus whose truth is known: drawn faces and simulated biosignals, written to disk in BioVid's raw layout.

What generates what:

    class -> stimulus -> felt intensity -+-> EDA: a skin conductance response 1.3 to 1.9 s after the onset
    (subject's bias, clip's noise)       +-> ECG: the heart beats faster
                                         +-> EMG: energy of the trapezius
                                         +-> shown intensity -> brows, eyes, nose, mouth (Part B: facial EMG)
                                             (subject's expressiveness; in some clips nothing)
    smiles, talking, frowns, blinks ----------------------------> the same features without pain

The felt intensity is one course a clip: an onset after one to two seconds of 5.5, a rise, a plateau. About a
quarter of the subjects show next to nothing, so what a student can see is less than what its teachers know.
`synthetic_truth` draws subjects and courses, `synthetic_biosignals` the signals, `synthetic_head` and `synthetic_face`
the pictures.

Every clip draws from streams derived from (seed, subject, class, number): the same bytes in any order and process.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.corpora import synthetic_biosignals, synthetic_face
from pipelines.corpora.biovid import CLASSES, task_of
from pipelines.corpora.progress import Progress
from pipelines.corpora.rendering import render_once, render_units
from pipelines.corpora.synthetic_truth import Subject, draw_course, draw_subjects, stream
from pipelines.errors import SettingsError
from pipelines.media.video import write_video
from pipelines.recipe import SyntheticCorpus
from pipelines.workspace import write_text

FRAME_RATE = 25

_RENDERER = 1
"""Raised with every change of what is drawn or simulated."""

_COURSE, _SIGNALS, _FACE = 0, 1, 2
"""Last keys of a clip's streams; the first are subject, class and number."""


def render_synthetic(settings: SyntheticCorpus, *, workers: int = 1, progress: Progress | None = None) -> Path:
    """Render the corpus, or keep it where it is there already.

    Args:
        settings: what to render, and the folder to render it to.
        workers: processes that render one subject each; the bytes written do not depend on it.
        progress: moved after each subject; not at all where nothing needs rendering.

    Returns:
        The root that `index_corpus` reads.

    Raises:
        SettingsError: the folder holds something else, or the settings cannot be rendered.
    """
    _check(settings)
    return render_once(settings.root, _record_of(settings), lambda: _render(settings, workers, progress))


def render_subject(settings: SyntheticCorpus, subject: Subject) -> int:
    """Render the files of one subject that are not there yet; returns the number of clips."""
    clips = list(_clips(settings, subject))
    for class_name, number, name in clips:
        key = (subject.index, CLASSES.index(class_name), number)
        course = draw_course(stream(settings.seed, *key, _COURSE), subject, class_name, settings.seconds)
        table = _part(settings) / "biosignals_raw" / subject.name / f"{name}_bio.csv"
        if not table.exists():
            signals = synthetic_biosignals.simulate(
                stream(settings.seed, *key, _SIGNALS),
                subject,
                course,
                seed=settings.seed,
                seconds=settings.seconds,
                part=settings.part,
            )
            write_text(table, synthetic_biosignals.to_csv(signals))
        video = _part(settings) / "video" / subject.name / f"{name}.mp4"
        if not video.exists():
            video.parent.mkdir(parents=True, exist_ok=True)
            frames = synthetic_face.draw_frames(
                stream(settings.seed, *key, _FACE),
                subject,
                course.actions(synthetic_face.frame_times(settings.seconds, FRAME_RATE), subject.pattern),
                seed=settings.seed,
                width=settings.width,
                rate=FRAME_RATE,
            )
            write_video(video, frames, FRAME_RATE)
    return len(clips)


def _render(settings: SyntheticCorpus, workers: int, progress: Progress | None) -> None:
    subjects = draw_subjects(settings.seed, settings.subject_count)
    if progress is not None:
        progress.reset(len(subjects) * len(task_of(settings).labels) * settings.clips_per_class)
    for count in render_units(partial(render_subject, settings), subjects, workers):
        if progress is not None:
            progress.update(count)
    write_text(_part(settings) / "starting_point" / "samples.csv", _samples_table(settings))


def _clips(settings: SyntheticCorpus, subject: Subject) -> Iterator[tuple[str, int, str]]:
    """Class, number within the class, and name of each clip of a subject."""
    for class_name in task_of(settings).labels:
        for number in range(settings.clips_per_class):
            yield class_name, number, f"{subject.name}-{class_name}-{number + 1:03d}"


def _samples_table(settings: SyntheticCorpus) -> str:
    rows = ["subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name"]
    for subject in draw_subjects(settings.seed, settings.subject_count):
        for class_name, _, name in _clips(settings, subject):
            class_id = CLASSES.index(class_name)
            rows.append(f"{subject.index + 1}\t{subject.name}\t{class_id}\t{class_name}\t{len(rows)}\t{name}")
    return "\n".join(rows) + "\n"


def _part(settings: SyntheticCorpus) -> Path:
    return settings.root / f"Part{settings.part}"


def _check(settings: SyntheticCorpus) -> None:
    if settings.biosignals != "biosignals_raw":
        raise SettingsError(f"corpus.biosignals = {settings.biosignals!r}: only biosignals_raw is rendered; use that")


def _record_of(settings: SyntheticCorpus) -> dict[str, Any]:
    """Everything that the rendered bytes depend on."""
    shaping = ("part", "subject_count", "clips_per_class", "seconds", "width", "seed")
    chosen = {name: getattr(settings, name) for name in shaping}
    return {"renderer": _RENDERER, **chosen, "classes": list(task_of(settings).labels)}
