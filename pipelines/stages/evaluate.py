"""Stage 5: students and teachers -> predictions on test clips, and the results.

The only stage that reads a fold's test clips. Predictions are artifacts of their own; results are computed from them
alone, so that anyone can compute them again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.cache.embeddings import Column
from pipelines.cache.predictions import read_predictions, write_predictions
from pipelines.cache.tables import ClipRow
from pipelines.errors import MissingArtifact
from pipelines.metrics import Predictions
from pipelines.objectives import METHODS
from pipelines.protocols.audit import Evidence, audit
from pipelines.recipe import Recipe
from pipelines.reporting.results import TEACHER, Results, compute_results, write_results
from pipelines.stages import distill
from pipelines.stages.cells import Cell, digest_rows, load_cells
from pipelines.stages.execution import Artifact, Job, run_units, warn_of_stale
from pipelines.stages.fitting import provenance_of, training_workers
from pipelines.stages.networks import embed_modality, restore_fusion
from pipelines.training.checkpoints import Checkpoint, load_checkpoint
from pipelines.workspace import Fingerprint, Workspace


@dataclass(frozen=True)
class EvaluationUnit:
    """The test clips of one cell, and who is tested on them."""

    cell: Cell
    methods: tuple[str, ...]


def run(recipe: Recipe, workspace: Workspace, *, workers: int | None = None) -> None:
    """Predict every test clip and write results.csv, results_by_group.csv and results.json.

    Raises:
        MissingArtifact: before `distill`.
        LeakageError: a checkpoint has seen test subjects.
    """
    cells = load_cells(recipe, workspace)
    students = _trained_methods(cells, workspace)
    trained = [distill.StudentUnit(cell, method) for cell in cells for method in students]
    warn_of_stale("distill", trained, distill.artifacts_of, root=workspace.root)
    methods = tuple(TEACHER + name for name in recipe.teacher_subsets) + students
    units = [EvaluationUnit(cell, methods) for cell in cells]
    workers = workers or training_workers(recipe)
    run_units("evaluate", units, artifacts_of, workers=workers, root=workspace.root)
    write_results(workspace, load_results(recipe, workspace, methods, cells), recipe, cells[0].task)


def load_results(recipe: Recipe, workspace: Workspace, methods: Sequence[str], cells: Sequence[Cell]) -> Results:
    """Results of predictions on disk."""
    predictions = {
        method: {
            (cell.split.fold, cell.split.seed): read_predictions(
                workspace.predictions(cell.split.fold, cell.split.seed, method), cell.task
            )
            for cell in cells
        }
        for method in methods
    }
    return compute_results(predictions, cells[0].task, recipe.evaluation)


def _trained_methods(cells: Sequence[Cell], workspace: Workspace) -> tuple[str, ...]:
    found = []
    for method in METHODS:
        paths = [workspace.student(cell.split.fold, cell.split.seed, method) for cell in cells]
        there = [path.exists() for path in paths]
        if any(there):
            workspace.require(
                paths[there.index(False)] if not all(there) else paths[0], f"mtpkd distill --method {method}"
            )
            found.append(method)
    if not found:
        first = workspace.student(cells[0].split.fold, cells[0].split.seed, "...")
        raise MissingArtifact(f"{first} is missing: run `mtpkd distill --workspace {workspace.root}` first")
    return tuple(found)


def artifacts_of(unit: EvaluationUnit) -> list[Artifact]:
    """One file of predictions a method and teacher; within a unit every clip is embedded once an encoder."""
    return [_predictions_artifact(unit, method, memory) for memory in [_Memory(unit.cell)] for method in unit.methods]


class _Memory:
    """Test embeddings by the bytes of the encoder: students share the visual teacher's encoder."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._known: dict[tuple[str, int], Column] = {}
        self.rows = [row for row in cell.of(cell.split.test) if row.label is not None]

    def column(self, checkpoint: Checkpoint, modality: str, prefix: str = "") -> Column:
        state = checkpoint.part(prefix) if prefix else checkpoint.state
        key = modality, hash(tuple(state[name].numpy().tobytes() for name in sorted(state)))
        if key not in self._known:
            self._known[key] = embed_modality(self._cell, checkpoint, modality, self.rows, prefix=prefix)
        return self._known[key]


def _predictions_artifact(unit: EvaluationUnit, method: str, memory: _Memory) -> Artifact:
    cell = unit.cell
    modalities = cell.recipe.modalities if method.startswith(TEACHER) else cell.recipe.prevalent
    inputs = {path.name: path for path in _checkpoints(cell, method)}
    for modality in modalities:
        inputs |= cell.shards(modality, cell.split.test)
    keys = {**cell.learning_keys(), "test": list(cell.split.test), "clips": digest_rows(memory.rows), "method": method}
    return Artifact(
        path=cell.workspace.predictions(cell.split.fold, cell.split.seed, method),
        fingerprint=Fingerprint(keys, inputs, cell.split.seed),
        build=partial(_predict, unit, method, memory),
        cost=len(memory.rows),
    )


def _checkpoints(cell: Cell, method: str) -> list[Path]:
    if not method.startswith(TEACHER):
        return [cell.workspace.student(cell.split.fold, cell.split.seed, method)]
    full = cell.full
    name = method.removeprefix(TEACHER)
    subset = cell.recipe.teacher_subsets[name]
    encoders = [cell.teacher(full, modality) for modality in subset]
    return encoders if len(subset) == 1 else [*encoders, cell.teacher(full, name)]


def _predict(unit: EvaluationUnit, method: str, memory: _Memory, job: Job) -> dict[str, Any]:
    cell = unit.cell
    checkpoints = {path: load_checkpoint(path) for path in _checkpoints(cell, method)}
    evidence = [Evidence(f"{method} on test clips", "test", frozenset(row.group for row in memory.rows))]
    for path, checkpoint in checkpoints.items():
        evidence += provenance_of(path.name, checkpoint)
    audit(cell.split, evidence)
    predict = _predict_teacher if method.startswith(TEACHER) else _predict_student
    outputs, present = predict(cell, method, list(checkpoints.values()), memory)
    rows = [row for row, there in zip(memory.rows, present, strict=True) if there]
    scores = torch.from_numpy(outputs[present]).double().softmax(1).numpy()
    write_predictions(job.path, _predictions(rows, scores), cell.task)
    job.advance(len(memory.rows))
    return {"clips": len(rows), "without_prediction": len(memory.rows) - len(rows)}


def _predictions(rows: Sequence[ClipRow], scores: np.ndarray) -> Predictions:
    return Predictions(
        groups=np.array([row.group for row in rows]),
        clips=np.array([row.clip for row in rows]),
        target=np.array([row.label for row in rows], dtype=np.int64),
        scores=scores,
    )


@torch.no_grad()
def _predict_student(
    cell: Cell, method: str, checkpoints: list[Checkpoint], memory: _Memory
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (N, C) and where there is one (N,): wherever a prevalent modality is there."""
    checkpoint = checkpoints[0]
    assert checkpoint.recipe is not None
    network = distill.make_student(checkpoint.recipe, method, cell.task.num_outputs)
    network.load_state_dict(checkpoint.part("student"))
    columns = {name: memory.column(checkpoint, name, f"encoders.{name}") for name in checkpoint.recipe.prevalent}
    embeddings, present = _tensors(columns)
    outputs = network.eval()(embeddings, present).output
    return outputs.numpy(), np.any([column.present for column in columns.values()], axis=0)


@torch.no_grad()
def _predict_teacher(
    cell: Cell, method: str, checkpoints: list[Checkpoint], memory: _Memory
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (N, C) and where there is one (N,): wherever any of the teacher's modalities is there."""
    subset = cell.recipe.teacher_subsets[method.removeprefix(TEACHER)]
    columns = {name: memory.column(checkpoint, name) for name, checkpoint in zip(subset, checkpoints, strict=False)}
    present = np.any([column.present for column in columns.values()], axis=0)
    if len(subset) == 1:
        outputs = columns[subset[0]].outputs
        assert outputs is not None
        return outputs[:, 0], present
    return restore_fusion(checkpoints[-1])(*_tensors(columns))[1].numpy(), present


def _tensors(columns: dict[str, Column]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    embeddings = {name: torch.from_numpy(column.embeddings[:, 0]) for name, column in columns.items()}
    return embeddings, {name: torch.from_numpy(column.present) for name, column in columns.items()}
