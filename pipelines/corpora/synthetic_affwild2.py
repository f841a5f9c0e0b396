"""A corpus of continuous affect whose truth is known: drawn faces with voices, on disk in Aff-Wild2's raw layout.

What generates what:

    valence -> face: mouth, cheeks, brows                                    (all people)
            -> voice: formants, slightly
    arousal -> voice: pitch, loudness, slope of the spectrum, speed          (all people)
            -> face: eyes, brows, jaw, unrest of the head                    (half of the people)
    speech  -> voice and mouth;    blinks, fluctuations -> face, without a cause

So sound teaches arousal better than the face does, and the face valence. `synthetic_affwild2_truth` draws people and
courses, `synthetic_sound` the voices, `synthetic_scene` the pictures.

What a reader of the real corpus meets is here too: two people in one video, faces that are hidden (rows of -5, in one
video of five in the valence column only; gaps in the numbers of the crops), trials without crops, numbers of rows a few
off those of the frames, 25 and 30 frames a second, avi beside mp4, one video without sound, and one whose sound starts
late.

- Every video draws from streams derived from (seed, video, person): the same bytes in any order and process.
- A video file is the last that is written of its trials: one that exists is finished.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.corpora.progress import Progress
from pipelines.corpora.rendering import render_once, render_units
from pipelines.corpora.synthetic_affwild2_truth import Performance, Speech, draw_performances, speech_of
from pipelines.corpora.synthetic_face import frame_times
from pipelines.corpora.synthetic_scene import draw_scene, size_of
from pipelines.corpora.synthetic_sound import RATE, speak
from pipelines.corpora.synthetic_truth import stream
from pipelines.media.faces import encode_jpeg
from pipelines.media.sound_track import Sound
from pipelines.media.video import write_video
from pipelines.recipe import SyntheticAffWild2Corpus
from pipelines.workspace import write_text

SOUND_DELAY_S = 0.25
"""How late the sound of one video starts."""

_RENDERER = 1
"""Raised with every change of what is drawn or heard."""

_ANNOTATIONS = Path("6th ABAW Annotations") / "VA_Estimation_Challenge"
_FOLDERS = ("batch1", "batch2", "new_vids")
_MUTE, _LATE = 0, 3
"""The videos without sound, and with sound that starts late."""

_SCENE, _SOUND, _ROWS = 4, 5, 6
"""Last keys of a video's streams, beside those of its truth."""


@dataclass(frozen=True)
class _Film:
    """What is special about one video.

    Attributes:
        index: number in the corpus.
        name: stem of its file, like those of Aff-Wild2: number, frames a second, size.
        file: where it lies.
        sides: suffix of each of its trials.
        rate: frames a second.
        has_crops: whether crops of its trials are published.
        annotations: folder of its trials' annotations.
    """

    index: int
    name: str
    file: Path
    sides: tuple[str, ...]
    rate: int
    has_crops: bool
    annotations: Path

    @property
    def trials(self) -> tuple[str, ...]:
        """Names of its trials."""
        return tuple(self.name + side for side in self.sides)


def render_synthetic_affwild2(
    settings: SyntheticAffWild2Corpus, *, workers: int = 1, progress: Progress | None = None
) -> Path:
    """Render the corpus, or keep it where it is there already.

    Args:
        settings: what to render, and the folder to render it to.
        workers: processes that render one video each; the bytes written do not depend on it.
        progress: moved by its trials after each video; not at all where nothing needs rendering.

    Returns:
        The root that `index_corpus` reads.

    Raises:
        SettingsError: the folder holds something else.
    """
    return render_once(settings.root, _record_of(settings), lambda: _render(settings, workers, progress))


def render_video(settings: SyntheticAffWild2Corpus, index: int) -> int:
    """Render the files of one video unless they are there; returns the number of its trials."""
    film = _plan(settings, index)
    if not film.file.exists():
        film.file.parent.mkdir(parents=True, exist_ok=True)
        performances = draw_performances(settings.seed, index, len(film.sides), settings.seconds)
        speeches = [speech_of(performance, settings.seconds) for performance in performances]
        times = frame_times(settings.seconds, film.rate)
        for number, performance in enumerate(performances):
            rng = stream(settings.seed, index, number, _ROWS)
            write_text(film.annotations / f"{film.trials[number]}.txt", _annotation_file(rng, performance, film, times))
        scene = draw_scene(
            stream(settings.seed, index, 0, _SCENE),
            performances,
            speeches,
            times,
            seed=settings.seed,
            width=settings.width,
            crops=film.has_crops,
        )
        frames = _with_crops(scene, [settings.root / "cropped_aligned" / trial for trial in film.trials])
        write_video(film.file, frames, film.rate, sound=_sound(settings, film, performances, speeches))
    return len(film.sides)


def _render(settings: SyntheticAffWild2Corpus, workers: int, progress: Progress | None) -> None:
    if progress is not None:
        progress.reset(sum(len(_plan(settings, index).sides) for index in range(settings.videos)))
    for trials in render_units(partial(render_video, settings), range(settings.videos), workers):
        if progress is not None:
            progress.update(trials)


def _plan(settings: SyntheticAffWild2Corpus, index: int) -> _Film:
    """Nothing is drawn here: every eight videos are of the same kinds, and the first four show most of them."""
    role = index % 8
    sides = ("_left", "_right") if role in (1, 7) else ("",)
    rate = 30 if role in (3, 4) else 25
    width, height = size_of(settings.width, len(sides))
    name = f"{index + 1}-{rate}-{width}x{height}"
    return _Film(
        index=index,
        name=name,
        file=settings.root / _FOLDERS[index % len(_FOLDERS)] / (name + (".avi" if role == 2 else ".mp4")),
        sides=sides,
        rate=rate,
        has_crops=role in (0, 1, 3, 5),
        annotations=settings.root / _ANNOTATIONS / ("Validation_Set" if index % 4 == 3 else "Train_Set"),
    )


def _sound(
    settings: SyntheticAffWild2Corpus, film: _Film, performances: list[Performance], speeches: list[Speech]
) -> Sound | None:
    if film.index == _MUTE:
        return None
    start = SOUND_DELAY_S if film.index == _LATE else 0.0
    rng = stream(settings.seed, film.index, 0, _SOUND)
    people = [performance.person for performance in performances]
    return Sound(speak(rng, people, speeches, start_s=start, stop_s=settings.seconds), RATE, start)


def _annotation_file(rng: np.random.Generator, performance: Performance, film: _Film, times: np.ndarray) -> str:
    """The text of an annotation file, whose rows are up to three more or fewer than the frames."""
    rows = len(times) + int(rng.integers(-3, 4))
    values = performance.annotations(np.arange(rows) / film.rate)
    hidden = np.isnan(values)
    mark = "-5.0" if film.index % 2 else "-5"
    if film.index % 5 == 2:  # one bad column makes a row useless
        values[:, 1] = np.where(hidden[:, 1], 0.0, values[:, 1])
        hidden[:, 1] = False
    cells = np.where(hidden, mark, np.char.mod("%.3f", values))
    return "\n".join(["valence,arousal", *map(",".join, cells.tolist())]) + "\n"


def _with_crops(
    scene: Iterable[tuple[np.ndarray, list[np.ndarray | None]]], folders: list[Path]
) -> Iterator[np.ndarray]:
    """The scene's pictures; its crops go to a folder a person, which appears complete before the pictures end."""
    drafts = [folder.with_name(f".{folder.name}.partial") for folder in folders]
    for leftover in (*drafts, *folders):
        shutil.rmtree(leftover, ignore_errors=True)
    for frame, (picture, crops) in enumerate(scene, 1):
        for draft, crop in zip(drafts, crops, strict=True):
            if crop is not None:
                draft.mkdir(parents=True, exist_ok=True)
                (draft / f"{frame:05d}.jpg").write_bytes(encode_jpeg(crop))
        yield picture
    for draft, folder in zip(drafts, folders, strict=True):
        if draft.exists():
            draft.rename(folder)


def _record_of(settings: SyntheticAffWild2Corpus) -> dict[str, Any]:
    """Everything that the rendered bytes depend on."""
    shaping = ("name", "videos", "seconds", "width", "seed")
    return {"affwild2_renderer": _RENDERER, **{name: getattr(settings, name) for name in shaping}}
