"""Predictions on disk, so that anyone can compute results again.

Decisions. Whole clips: one row a clip, read and written whole. The columns are clip, group, target and a score a class;
of continuous dimensions a target and a score a dimension. Trials whose labels change: one row a frame (clip, group,
frame, a target and a score column a dimension), every frame of a trial in order, those without an annotation with an
empty target. They are written and read one trial at a time, because all frames of a corpus need not fit into memory. A
number is the shortest text that reads back as the same number in its own type: a float32 of .1 is written `0.1`.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, repeat
from operator import itemgetter
from pathlib import Path

import numpy as np

from pipelines.cache.tables import open_csv
from pipelines.errors import MtpkdError
from pipelines.metrics import Predictions
from pipelines.recipe import Task
from pipelines.workspace import atomic_path, write_csv

_AGAIN = "delete it and run `mtpkd evaluate` again"


@dataclass(frozen=True)
class FramePredictions:
    """What a model said about every frame of one trial; row i is frame i + 1, the one of image `{i + 1:05d}.jpg`.

    Attributes:
        clip: name of the trial.
        group: what is resampled whole, e.g. the video.
        target: (n, K) float, NaN where a frame is not annotated.
        scores: (n, K) float.

    Raises:
        MtpkdError: a score is NaN or infinite, as after a training that diverged.
        ValueError: shapes that do not fit, or no frame.
    """

    clip: str
    group: str
    target: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or self.target.shape != self.scores.shape or not len(self.scores):
            shapes = f"target {self.target.shape} and scores {self.scores.shape}"
            raise ValueError(f"trial {self.clip}: {shapes} must both be (n, K) with n > 0")
        finite = np.isfinite(self.scores).all(axis=1)
        if not finite.all():
            raise MtpkdError(
                f"the prediction of trial {self.clip}, frame {finite.argmin() + 1} is not a finite number "
                f"({(~finite).sum()} of {finite.size} frames): its training diverged, lower the learning rate"
            )

    @property
    def annotated(self) -> np.ndarray:
        """(n,) whether a frame's target is known in every dimension."""
        return np.asarray(~np.isnan(self.target).any(axis=1))


def write_predictions(path: Path, predictions: Predictions, task: Task) -> None:
    """Write the predictions of whole clips, with every digit."""
    header = ["clip", "group", *_target_columns(task), *_score_columns(task)]
    targets = (predictions.target[:, None] if predictions.of_classes else predictions.target).tolist()
    rows = zip(predictions.clips, predictions.groups, targets, predictions.scores.tolist(), strict=True)
    write_csv(path, header, ([clip, group, *map(repr, target + scores)] for clip, group, target, scores in rows))


def read_predictions(path: Path, task: Task) -> Predictions:
    """Read predictions of whole clips. Raises MtpkdError for a file that does not hold this task's scores."""
    targets, columns = _target_columns(task), _score_columns(task)
    with open_csv(path, _AGAIN) as stream:
        reader = csv.DictReader(stream)
        if not {"clip", "group", *targets, *columns} <= set(reader.fieldnames or ()):
            raise MtpkdError(f"{path}: columns clip, group, {', '.join(targets + columns)} expected: {_AGAIN}")
        rows = list(reader)
    number = int if task.kind == "classes" else float
    try:
        target = np.array([[number(row[name]) for name in targets] for row in rows], number)
        return Predictions(
            groups=np.array([row["group"] for row in rows], str),
            clips=np.array([row["clip"] for row in rows], str),
            target=target.reshape(-1) if task.kind == "classes" else target.reshape(-1, task.num_outputs),
            scores=np.array([[float(row[name]) for name in columns] for row in rows]).reshape(-1, len(columns)),
        )
    except (TypeError, ValueError) as error:
        raise MtpkdError(f"{path}: {error}: {_AGAIN}") from None


def holds_frames(path: Path) -> bool:
    """Whether a file of predictions has one row a frame, rather than one a clip."""
    with open_csv(path, _AGAIN) as stream:
        return "frame" in next(csv.reader(stream), [])[2:3]


def write_frame_predictions(path: Path, trials: Iterable[FramePredictions], task: Task) -> None:
    """Write continuous predictions, holding one trial at a time; a whole file, or none.

    Raises:
        ValueError: a trial comes twice, or its dimensions are not the task's.
    """
    written: set[str] = set()
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_frame_columns(task))
        for trial in trials:
            n, dimensions = trial.scores.shape
            if trial.clip in written or dimensions != task.num_outputs:
                raise ValueError(f"trial {trial.clip} comes twice, or has {dimensions} dimensions for {task.labels}")
            written.add(trial.clip)
            numbers = [_texts(column) for column in (*trial.target.T, *trial.scores.T)]
            writer.writerows(zip(repeat(trial.clip, n), repeat(trial.group, n), range(1, n + 1), *numbers, strict=True))


def read_frame_predictions(path: Path, task: Task) -> Iterator[FramePredictions]:
    """Read continuous predictions, holding one trial at a time.

    Yields:
        One trial after the other, in the order of the file; target and scores float64.

    Raises:
        MtpkdError: the file is not one of this task, or was changed by hand.
    """
    columns = _frame_columns(task)
    with open_csv(path, _AGAIN) as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        if header != columns:
            found = ", ".join(header) or "none"
            raise MtpkdError(f"{path}: columns {', '.join(columns)} expected, found {found}: {_AGAIN}")
        seen: set[str] = set()
        for names, rows in groupby(reader, key=itemgetter(slice(2))):
            try:
                trial = _parse_trial(names, list(rows), task)
                if trial.clip in seen:
                    raise ValueError("it was there before")
            except (ValueError, MtpkdError) as error:
                trial_and_line = f"trial {names[0] if names else '?'}, up to line {reader.line_num}"
                raise MtpkdError(f"{path}, {trial_and_line}: {error}: {_AGAIN}") from None
            seen.add(trial.clip)
            yield trial


def read_annotated_predictions(path: Path, task: Task) -> Iterator[Predictions]:
    """What metrics of frames are computed of: one trial after the other, of each its annotated frames.

    A trial without any is left out. Errors are those of `read_frame_predictions`.
    """
    for trial in read_frame_predictions(path, task):
        known = trial.annotated
        n = int(known.sum())
        if n:
            yield Predictions(
                groups=np.full(n, trial.group),
                clips=np.full(n, trial.clip),
                target=trial.target[known],
                scores=trial.scores[known],
            )


def _frame_columns(task: Task) -> list[str]:
    return ["clip", "group", "frame", *_target_columns(task), *_score_columns(task)]


def _target_columns(task: Task) -> list[str]:
    return ["target"] if task.kind == "classes" else [f"target_{label}" for label in task.labels]


def _score_columns(task: Task) -> list[str]:
    return [f"score_{label}" for label in task.labels]


def _texts(values: np.ndarray) -> list[str]:
    """The shortest text of each number; empty for NaN."""
    texts = map(repr, values.tolist()) if values.dtype == np.float64 else map(str, values)
    return ["" if text == "nan" else text for text in texts]


def _parse_trial(names: Sequence[str], rows: Sequence[Sequence[str]], task: Task) -> FramePredictions:
    clip, group = names
    _, _, frames, *columns = zip(*rows, strict=True)
    if tuple(map(int, frames)) != tuple(range(1, len(rows) + 1)):
        raise ValueError(f"its frames are not 1 to {len(rows)} in order")
    target, scores = columns[: task.num_outputs], columns[task.num_outputs :]
    return FramePredictions(
        clip=clip,
        group=group,
        target=np.array([[float(text) if text else np.nan for text in column] for column in target]).T,
        scores=np.array([[float(text) for text in column] for column in scores]).T,
    )
