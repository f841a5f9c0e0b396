"""What a trained teacher or student says of samples: checkpoints and embeddings -> outputs -> clips or trials."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from pipelines.cache.embeddings import Column, EmbeddingStore, read_embeddings
from pipelines.metrics import Predictions
from pipelines.reporting.results import TEACHER
from pipelines.stages.cells import Cell
from pipelines.stages.networks import fuse, restore_fusion
from pipelines.training.checkpoints import Checkpoint
from pipelines.training.dense import Trial, best_smoothing, dense_values
from pipelines.training.labels import LabelScale
from pipelines.training.restoring import restore_student
from pipelines.training.samples import Sample, read_shard
from pipelines.training.tables import EmbeddingTable


def checkpoints_of(cell: Cell, method: str) -> list[Path]:
    """The files behind a method's predictions: a student is whole; a teacher is its encoders and what fuses them."""
    if not method.startswith(TEACHER):
        return [cell.workspace.student(cell.split.fold, cell.split.seed, method)]
    return list(cell.behind(cell.full, method.removeprefix(TEACHER)).values())


def modalities_of(cell: Cell, method: str) -> tuple[str, ...]:
    """The modalities that a method sees when it predicts."""
    if not method.startswith(TEACHER):
        return cell.recipe.prevalent
    return cell.recipe.teacher_subsets[method.removeprefix(TEACHER)]


def predict(
    cell: Cell, method: str, checkpoints: Sequence[Checkpoint], columns: Mapping[str, Column], rows: Sequence[Sample]
) -> tuple[np.ndarray, np.ndarray]:
    """Predict samples from their embeddings.

    Args:
        cell: fold and seed.
        method: a student's method, or a teacher with its prefix.
        checkpoints: of `checkpoints_of`.
        columns: embeddings of `modalities_of`, in the order of the rows.
        rows: the samples, in order of time within each clip.

    Returns:
        Outputs (N, C), on the scale of the labels where they are continuous, and (N,) where there is one: wherever any
        of its modalities is there.
    """
    outputs, present = _outputs(cell, method, checkpoints, columns, rows)
    scale = checkpoints[-1].schema.get("label_scale")
    return (outputs if scale is None else LabelScale.from_schema(scale).restored(outputs)), present


def _outputs(
    cell: Cell, method: str, checkpoints: Sequence[Checkpoint], columns: Mapping[str, Column], rows: Sequence[Sample]
) -> tuple[np.ndarray, np.ndarray]:
    """The same as networks say it."""
    store = EmbeddingStore(clips=tuple(row.name for row in rows), columns=columns)
    table = EmbeddingTable(store, tuple(columns), rows, cell.task, windows=cell.recipe.windows)
    present = table.any_present(columns).numpy()
    if not method.startswith(TEACHER):
        network = restore_student(checkpoints[0])
    elif cell.is_fused(method.removeprefix(TEACHER)):
        network = restore_fusion(checkpoints[-1])
    else:
        outputs = next(iter(columns.values())).outputs
        assert outputs is not None
        return outputs[:, 0], present
    outputs = fuse(network, table, present, samplings=1)[1][:, 0]
    everyone = np.full((len(present), outputs.shape[1]), np.nan, outputs.dtype)
    everyone[present] = outputs
    return everyone, present


def predict_validation(
    cell: Cell, method: str, checkpoints: Sequence[Checkpoint]
) -> tuple[list[Sample], np.ndarray, np.ndarray]:
    """Predict the samples of the validation part, whom no network was trained on; labelled or not.

    Returns:
        The samples, and what `predict` says of the regular temporal sampling of each: test clips are seen by that too.
    """
    store = read_embeddings(cell.embeddings(cell.full))
    rows = cell.of(cell.split.validation)
    index = store.rows([row.name for row in rows])
    columns = {name: _regular(store.columns[name].taken(index)) for name in modalities_of(cell, method)}
    return rows, *predict(cell, method, checkpoints, columns, rows)


def choose_smoothing(cell: Cell, method: str, checkpoints: Sequence[Checkpoint]) -> float:
    """The width in seconds that is best on validation trials."""
    widths = cell.recipe.evaluation.smoothing
    if len(widths) == 1:
        return widths[0]
    return best_smoothing(widths, list(trials(cell, *predict_validation(cell, method, checkpoints))))


def _regular(column: Column) -> Column:
    """The first of V temporal samplings; the others are jittered."""
    outputs = None if column.outputs is None else column.outputs[:, :1]
    return Column(embeddings=column.embeddings[:, :1], present=column.present, outputs=outputs)


def clip_predictions(
    cell: Cell, rows: Sequence[Sample], outputs: np.ndarray, kept: np.ndarray, *, temperature: float = 1.0
) -> Predictions:
    """One value a class or dimension of whole clips; targets as they stand in the table of clips.

    Args:
        cell: fold and seed.
        rows: N clips.
        outputs: (N, C) logits, or values on the scale of the labels.
        kept: (N,) which of them are predicted, and labelled.
        temperature: that logits are divided by.
    """
    there = [row for row, each in zip(rows, kept, strict=True) if each]
    labels = {row.clip: row.label for row in cell.clips_of({row.group for row in there})}
    of_classes = cell.task.kind == "classes"
    target = np.array([labels[row.clip] for row in there], np.int64 if of_classes else np.float64)
    scores = torch.from_numpy(outputs[kept]).double()
    return Predictions(
        groups=np.array([row.group for row in there], str),
        clips=np.array([row.clip for row in there], str),
        target=target if of_classes else target.reshape(-1, cell.task.num_outputs),
        scores=((scores / temperature).softmax(1) if of_classes else scores).numpy(),
    )


def trials(cell: Cell, rows: Sequence[Sample], outputs: np.ndarray, present: np.ndarray) -> Iterator[Trial]:
    """The trials of some windows with a value for every frame; one of which no window could be predicted is left out.

    Args:
        cell: fold and seed.
        rows: windows in order of time within each trial.
        outputs: (N, K) predictions.
        present: (N,) where there is one.
    """
    by_clip: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        if present[index]:
            by_clip.setdefault(row.clip, []).append(index)
    for clip, indices in by_clip.items():
        group = rows[indices[0]].group
        annotation = read_shard(cell.workspace.shard("annotations", group))[clip]
        centres = np.array([rows[index].frame for index in indices])
        values = dense_values(centres, outputs[indices], len(annotation.values))
        yield Trial(clip, group, annotation.values, annotation.times, values)
