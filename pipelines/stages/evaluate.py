"""Stage 5: students and teachers -> predictions on test clips, and the results.

The only stage that reads a fold's test clips. Predictions are artifacts of their own; results are computed from them
and their sidecars alone, so that anyone can compute them again.

A student's probabilities and smoothing are those of its checkpoint's calibration. A teacher has none: its probabilities
are as it was trained, and its smoothing is chosen here, on the same validation trials.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.cache.embeddings import Column
from pipelines.cache.predictions import (
    FramePredictions,
    read_frame_predictions,
    write_frame_predictions,
    write_predictions,
)
from pipelines.errors import MissingArtifact, SettingsError
from pipelines.objectives import METHODS
from pipelines.protocols.audit import Evidence, audit
from pipelines.recipe import Recipe
from pipelines.reporting.paired import Files
from pipelines.reporting.results import TEACHER, Results, compute_results, write_results
from pipelines.reporting.submission import write_submission
from pipelines.stages import distill
from pipelines.stages.artifacts import Artifact, Job, warn_of_stale
from pipelines.stages.calibration import calibration_of
from pipelines.stages.cells import Cell, load_cells
from pipelines.stages.execution import run_units
from pipelines.stages.executors import Workers
from pipelines.stages.fitting import provenance_of, training_workers
from pipelines.stages.locking import exclusive
from pipelines.stages.networks import embed_modality
from pipelines.stages.prediction import (
    checkpoints_of,
    choose_smoothing,
    clip_predictions,
    modalities_of,
    predict,
    trials,
)
from pipelines.stages.tracking import RUN_DIGITS, Log, Measurement, tracked
from pipelines.training.checkpoints import Checkpoint, load_checkpoint
from pipelines.training.samples import Sample, read_shard
from pipelines.workspace import Fingerprint, Workspace, identify

log = logging.getLogger("mtpkd")


@dataclass(frozen=True)
class EvaluationUnit:
    """The test clips of one cell, and who is tested on them."""

    cell: Cell
    methods: tuple[str, ...]


@exclusive
def run(
    recipe: Recipe,
    workspace: Workspace,
    *,
    workers: Workers | None = None,
    track: Sequence[str] = (),
    look_back: bool = True,
) -> None:
    """Predict every test clip and write results.csv, results_by_group.csv and results.json; `track` names services.

    `look_back`: whether to warn of stale students of the recipe's methods too; of others it is always said.

    Raises:
        MissingArtifact: before `distill`.
        LeakageError: a checkpoint has seen test subjects.
    """
    cells = load_cells(recipe, workspace)
    students = _trained_methods(cells, workspace)
    remade = () if look_back else recipe.distillation.methods
    trained = [distill.StudentUnit(cell, method) for cell in cells for method in students if method not in remade]
    warn_of_stale("distill", trained, distill.artifacts_of, root=workspace.root)
    methods = tuple(TEACHER + name for name in recipe.teacher_subsets) + students
    units = [EvaluationUnit(cell, methods) for cell in cells]
    workers = training_workers(recipe, workers)
    with tracked("evaluate", recipe, workspace, track) as keep:
        run_units("evaluate", units, artifacts_of, workers=workers, root=workspace.root)
        results = compute_results(prediction_files(methods, cells), cells[0].task, recipe.evaluation)
        _keep(keep, results, workspace)
    write_results(workspace, results, recipe, cells[0].task)


def _keep(keep: Log, results: Results, workspace: Workspace) -> None:
    """Every metric of every trained model on its test fold, told by the predictions that it was computed from."""
    found: dict[tuple[int, int, str], dict[str, float]] = {}
    for item in results.folds:
        found.setdefault((item.fold, item.seed, item.method), {})[item.metric] = item.value
    for (fold, seed, method), values in found.items():
        path = workspace.predictions(fold, seed, method)
        run = (identify(path) or {"sha256": ""})["sha256"][:RUN_DIGITS]
        keep(Measurement(run, path, fold, seed, method.replace(":", " "), None, values))


def prediction_files(methods: Sequence[str], cells: Sequence[Cell]) -> dict[str, Files]:
    """Where the predictions of methods and teachers lie."""
    places = {(cell.split.fold, cell.split.seed): cell.workspace for cell in cells}
    return {method: {key: place.predictions(*key, method) for key, place in places.items()} for method in methods}


def write_submissions(recipe: Recipe, workspace: Workspace, folder: Path) -> list[Path]:
    """Write every student's predictions of all test trials in the challenge's format, one file a method and seed.

    Raises:
        SettingsError: the corpus has no trials whose frames are annotated.
        MissingArtifact: before `evaluate`.
    """
    cells = load_cells(recipe, workspace)
    if not recipe.corpus.continuous:
        raise SettingsError(f"--submission: {recipe.corpus.name} has no submission format; affwild2 has")
    written = []
    for method in _trained_methods(cells, workspace):
        for seed in recipe.protocol.seeds:
            parts = [cell for cell in cells if cell.split.seed == seed]
            written.append(folder / f"{method}.seed-{seed}.txt")
            write_submission(written[-1], _submitted(parts, method))
    return written


def _submitted(cells: Sequence[Cell], method: str) -> Iterator[FramePredictions]:
    """Every test trial: one without any prediction gets the neutral value, and a warning."""
    for cell in cells:
        path = cell.workspace.require(
            cell.workspace.predictions(cell.split.fold, cell.split.seed, method), "mtpkd evaluate"
        )
        predicted = set()
        for trial in read_frame_predictions(path, cell.task):
            predicted.add(trial.clip)
            yield trial
        for row in cell.clips_of(cell.split.test):
            annotation = read_shard(cell.workspace.shard("annotations", row.group)).get(row.clip)
            if row.clip not in predicted and annotation is not None:
                log.warning("warning: %s could not predict %s: its frames are submitted as 0, 0", method, row.clip)
                yield FramePredictions(row.clip, row.group, annotation.values, np.zeros_like(annotation.values))


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
        samples = cell.of(cell.split.test)
        # A clip without a label has nothing to be judged by; a window without one is part of a trial that has.
        self.rows = [row for row in samples if row.label is not None or row.frame is not None]

    def column(self, checkpoint: Checkpoint, modality: str, prefix: str = "") -> Column:
        state = checkpoint.part(prefix) if prefix else checkpoint.state
        key = modality, hash(tuple(state[name].numpy().tobytes() for name in sorted(state)))
        if key not in self._known:
            self._known[key] = embed_modality(self._cell, checkpoint, modality, self.rows, prefix=prefix)
        return self._known[key]


def _predictions_artifact(unit: EvaluationUnit, method: str, memory: _Memory) -> Artifact:
    cell, smoothing = unit.cell, unit.cell.recipe.evaluation.smoothing
    inputs = {f"{path.parent.name}/{path.name}": path for path in checkpoints_of(cell, method)}
    for modality in modalities_of(cell, method):
        inputs |= cell.shards(modality, cell.split.test)
    keys = {**cell.learning_keys(), "test": list(cell.split.test), "method": method}
    keys["clips"] = cell.digest(cell.split.test)
    if cell.recipe.corpus.continuous and method.startswith(TEACHER):
        keys |= {"smoothing": list(smoothing), "validation": cell.digest(cell.split.validation)}
        inputs["embeddings"] = cell.embeddings(cell.full)
    return Artifact(
        path=cell.workspace.predictions(cell.split.fold, cell.split.seed, method),
        fingerprint=Fingerprint(keys, inputs, cell.split.seed),
        build=partial(_predict, unit, method, memory),
        cost=len(memory.rows),
    )


def _predict(unit: EvaluationUnit, method: str, memory: _Memory, job: Job) -> dict[str, Any]:
    cell = unit.cell
    checkpoints = {path: load_checkpoint(path) for path in checkpoints_of(cell, method)}
    evidence = [Evidence(f"{method} on test clips", "test", frozenset(row.group for row in memory.rows))]
    for path, checkpoint in checkpoints.items():
        evidence += provenance_of(path.name, checkpoint)
    audit(cell.split, evidence)
    loaded = list(checkpoints.values())
    columns = {}
    for number, name in enumerate(modalities_of(cell, method)):
        is_teacher = method.startswith(TEACHER)
        checkpoint, prefix = (loaded[number], "") if is_teacher else (loaded[0], f"encoders.{name}")
        columns[name] = memory.column(checkpoint, name, prefix)
    outputs, present = predict(cell, method, loaded, columns, memory.rows)
    calibration = None
    if not method.startswith(TEACHER):
        (path,) = checkpoints
        calibration = calibration_of(path, checkpoints[path])
    if cell.recipe.corpus.continuous:
        width = calibration["smoothing_s"] if calibration else choose_smoothing(cell, method, loaded)
        details = _write_frames(cell, memory.rows, outputs, present, path=job.path, width=width)
    else:
        temperature = calibration["temperature"] if calibration else None
        said = clip_predictions(cell, memory.rows, outputs, present, temperature=temperature or 1.0)
        write_predictions(job.path, said, cell.task)
        details = {"clips": len(said.clips), "without_prediction": len(memory.rows) - len(said.clips)}
    job.advance(len(memory.rows))
    return {**details, "calibration": calibration} if calibration else details


def _write_frames(
    cell: Cell, rows: Sequence[Sample], outputs: np.ndarray, present: np.ndarray, *, path: Path, width: float
) -> dict[str, Any]:
    """A value for every annotated frame, averaged over so many seconds."""
    predicted: set[str] = set()

    def smoothed() -> Iterator[FramePredictions]:
        for trial in trials(cell, rows, outputs, present):
            predicted.add(trial.clip)
            yield FramePredictions(trial.clip, trial.group, trial.target, trial.smoothed(width).astype(np.float32))

    write_frame_predictions(path, smoothed(), cell.task)
    missing = {row.clip for row in rows} - predicted
    return {"clips": len(predicted), "without_prediction": len(missing), "smoothing_s": width}
