"""Predictions on disk: clip, group, target and one score column a class, so that anyone can compute results again."""

import csv
from pathlib import Path

import numpy as np

from pipelines.errors import MtpkdError
from pipelines.metrics import Predictions
from pipelines.recipe import Task
from pipelines.workspace import write_csv


def write_predictions(path: Path, predictions: Predictions, task: Task) -> None:
    """Write a whole file; scores with every digit of a float64."""
    header = ["clip", "group", "target", *(f"score_{label}" for label in task.labels)]
    rows = zip(predictions.clips, predictions.groups, predictions.target, predictions.scores, strict=True)
    write_csv(
        path, header, ([clip, group, target, *map(repr, scores.tolist())] for clip, group, target, scores in rows)
    )


def read_predictions(path: Path, task: Task) -> Predictions:
    """Read predictions. Raises MtpkdError for a file that does not hold this task's scores."""
    columns = [f"score_{label}" for label in task.labels]
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if not {"clip", "group", "target", *columns} <= set(reader.fieldnames or ()):
            raise MtpkdError(f"{path}: columns clip, group, target, {', '.join(columns)} expected: delete it")
        rows = list(reader)
    try:
        return Predictions(
            groups=np.array([row["group"] for row in rows]),
            clips=np.array([row["clip"] for row in rows]),
            target=np.array([int(row["target"]) for row in rows], dtype=np.int64),
            scores=np.array([[float(row[name]) for name in columns] for row in rows]).reshape(-1, len(columns)),
        )
    except (TypeError, ValueError) as error:
        raise MtpkdError(f"{path}: {error}: delete it and run `mtpkd evaluate` again") from None
