"""Stage 4: aligned teachers -> students, one checkpoint a method. Reads cached embeddings only.

A student's checkpoint is complete: the prevalent modality's encoder, the hallucination net, fusion and head, with the
recipe, the normalisation and the calibration. Nothing else is needed to predict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pipelines.cache.embeddings import EmbeddingStore, read_embeddings
from pipelines.cache.out_of_fold import read_out_of_fold
from pipelines.cache.structure import write_structure
from pipelines.errors import SettingsError
from pipelines.objectives import METHODS, Objective, make_objective
from pipelines.objectives.structure import transports
from pipelines.objectives.task_loss import per_sample_loss
from pipelines.protocols.audit import Evidence
from pipelines.recipe import JOINT, Recipe
from pipelines.stages.align import artifacts_of as aligned
from pipelines.stages.artifacts import Artifact, Job, warn_of_stale
from pipelines.stages.calibration import calibrate
from pipelines.stages.cells import Cell, FitUnit, load_cells
from pipelines.stages.executors import Workers
from pipelines.stages.fitting import check_held_out, inherited_from, problem_tables, run_tracked, train
from pipelines.stages.locking import exclusive
from pipelines.stages.networks import teacher_column, teacher_embeddings
from pipelines.stages.train_teachers import artifacts_of as teachers_of
from pipelines.training.checkpoints import Checkpoint, load_checkpoint
from pipelines.training.loop import Problem
from pipelines.training.problems.distillation import DistillationProblem, Teachers, choose_probe
from pipelines.training.restoring import make_student
from pipelines.training.tables import EmbeddingTable
from pipelines.workspace import Fingerprint, Workspace, atomic_path, sidecar

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_CALIBRATION = 1
"""Counts ways of calibrating: a student that was calibrated in another one is made again."""


@dataclass(frozen=True)
class StudentUnit:
    """One method's student of one cell."""

    cell: Cell
    method: str


@exclusive
def run(
    recipe: Recipe,
    workspace: Workspace,
    *,
    methods: Sequence[str] | None = None,
    workers: Workers | None = None,
    track: Sequence[str] = (),
    look_back: bool = True,
    resume: bool = True,
) -> None:
    """Train every stale student of the methods (by default the recipe's); `track` names services.

    `look_back`: whether to warn of what is stale of the stages before.
    `resume`: see `run_tracked`.

    Raises:
        SettingsError: a method that does not exist.
        MissingArtifact: before `align`.
    """
    cells = load_cells(recipe, workspace)
    chosen = tuple(methods or recipe.distillation.methods)
    for method in chosen:
        make_objective(method, cells[0].task, recipe.distillation)
    units = [StudentUnit(cell, method) for cell in cells for method in chosen]
    for cell in cells:
        for fit in cell.fits():
            workspace.require(cell.teacher(fit, JOINT), "mtpkd train-teachers")
            workspace.require(cell.adapters(fit), "mtpkd align")
    fits = [FitUnit(cell, fit) for cell in cells for fit in cell.fits()]
    for stage, before in (("train-teachers", teachers_of), ("align", aligned)) if look_back else ():
        warn_of_stale(stage, fits, before, root=workspace.root)
    run_tracked("distill", recipe, workspace, units, artifacts_of, workers=workers, track=track, resume=resume)


def artifacts_of(unit: StudentUnit) -> list[Artifact]:
    """The one checkpoint of a unit; a student without teachers does not depend on them."""
    cell = unit.cell
    full, *crossed = cell.fits()
    objective = make_objective(unit.method, cell.task, cell.recipe.distillation)
    inputs = {"embeddings": cell.embeddings(full)}
    inputs |= {f"teacher {name}": cell.encoder(full, name) for name in cell.recipe.prevalent}
    keys = cell.learning_keys("model", "training.distillation", "prevalent", "privileged")
    keys |= {"train": list(full.train), "validation": list(full.validation)}
    keys["clips"] = cell.digest((*full.train, *full.validation))
    keys |= {"method": unit.method, "distillation": objective.read_settings(), "calibration": _CALIBRATION}
    if cell.recipe.corpus.continuous:
        keys["smoothing"] = list(cell.recipe.evaluation.smoothing)
    if objective.stands_in == "hallucination":
        inputs["hallucination net"] = cell.hallucination
    if objective.needs_teachers:
        keys |= {"teachers.outputs": "out-of-fold"} if _out_of_fold_wanted(cell.recipe) else {}
        if objective.teacher == "prevalent":
            inputs |= _files_of_prevalent_teacher(cell)
        else:
            inputs["aligned embeddings"] = cell.aligned(full)
            inputs |= {f"out-of-fold losses {fit.name}": cell.out_of_fold(fit) for fit in crossed}
    return [
        Artifact(
            path=cell.workspace.student(cell.split.fold, cell.split.seed, unit.method),
            fingerprint=Fingerprint(keys, inputs, cell.split.seed),
            build=partial(_train_student, unit),
            cost=cell.count(full.train) * cell.recipe.training.distillation.epochs,
            beside=(_structure(unit),) if transports(objective) else (),
            trained=True,
        )
    ]


def _structure(unit: StudentUnit) -> Path:
    return unit.cell.workspace.structure(unit.cell.split.fold, unit.cell.split.seed, unit.method)


def _files_of_prevalent_teacher(cell: Cell) -> dict[str, Path]:
    name, inputs = _prevalent_teacher(cell), {}
    for fit in cell.fits() if _out_of_fold_wanted(cell.recipe) else (cell.full,):
        inputs |= {f"prevalent teacher {fit.name}": cell.teacher(fit, name)} if cell.is_fused(name) else {}
        inputs |= {f"embeddings {fit.name}": cell.embeddings(fit)} if fit.name != "full" else {}
    return inputs


def _train_student(unit: StudentUnit, job: Job) -> dict[str, Any]:
    cell, recipe = unit.cell, unit.cell.recipe
    encoders = {name: load_checkpoint(cell.encoder(cell.full, name)) for name in recipe.prevalent}
    schema = {
        "method": unit.method,
        "prevalent": list(recipe.prevalent),
        "encoders": {name: encoder.schema["encoders"][name] for name, encoder in encoders.items()},
    }
    return train(
        cell,
        job,
        # Students of all methods start from the same weights and see the same batches.
        name="student",
        build=partial(_build_problem, unit, encoders),
        settings=recipe.training.distillation,
        schema=schema,
        state=partial(_complete_state, encoders),
        calibrate=partial(calibrate, cell, unit.method),
        beside=partial(_write_structure, _structure(unit)),
    )


def _build_problem(unit: StudentUnit, encoders: dict[str, Checkpoint], fabric: "Fabric") -> DistillationProblem:
    cell, recipe = unit.cell, unit.cell.recipe
    network = make_student(recipe, unit.method, cell.task.num_outputs)
    network.warm_start(encoders[recipe.prevalent[0]].part("head"))
    if network.hallucination is not None:
        network.load_hallucination(load_checkpoint(cell.hallucination).state)
    shared = problem_tables(cell, cell.full, recipe.prevalent, recipe.prevalent, fabric)
    shared["inherited"] += _inherited(cell, METHODS[unit.method])
    objective = make_objective(unit.method, cell.task, recipe.distillation)
    teachers = None
    if objective.needs_teachers and objective.teacher == "prevalent":
        teachers = _visual_teacher(cell, shared["train"], fabric)
    elif objective.needs_teachers:
        teachers = _teachers(cell, shared["train"], fabric)
    return DistillationProblem(
        network=network,
        objective=objective,
        teachers=teachers,
        task=cell.task,
        # The same clips under every method, so that their matrices can be laid side by side.
        probe=choose_probe(shared["train"].rows, cell.split.seed, cell.split.fold),
        **shared,
        name="student",
        batch_size=recipe.training.distillation.batch_size,
    )


def _inherited(cell: Cell, method: type[Objective]) -> tuple[Evidence, ...]:
    """Whose clips the networks behind a student have seen, beside the encoders of the embeddings."""
    behind: dict[str, Path] = {}
    if method.stands_in == "hallucination":
        behind["hallucination net"] = cell.hallucination
    if method.needs_teachers and method.teacher == "aligned":
        behind["alignment"] = cell.adapters(cell.full)
    if method.needs_teachers and method.teacher == "prevalent":
        behind["prevalent teacher"] = cell.teacher(cell.full, _prevalent_teacher(cell))
    return inherited_from(behind)


def _complete_state(encoders: dict[str, Checkpoint], problem: Problem) -> dict[str, Tensor]:
    tensors = {f"student.{name}": tensor for name, tensor in problem.network.state_dict().items()}
    for name, encoder in encoders.items():
        tensors |= {f"encoders.{name}.{key}": tensor for key, tensor in encoder.state.items()}
    return tensors


def _write_structure(path: Path, problem: Problem, best: int) -> None:
    """Keep what a method that transports was seen to do; what another setting left there is not this student's."""
    assert isinstance(problem, DistillationProblem)
    record = problem.structure(best)
    if record is None:
        for stale in (sidecar(path), path):
            stale.unlink(missing_ok=True)
        return
    with atomic_path(path) as partial_path:
        write_structure(partial_path, record)


def _prevalent_teacher(cell: Cell) -> str:
    """The teacher that sees all prevalent modalities and nothing else."""
    for name, subset in cell.recipe.teacher_subsets.items():
        if set(subset) == set(cell.recipe.prevalent):
            return name
    raise SettingsError(
        f"self-kd needs a teacher of {list(cell.recipe.prevalent)} alone: add that to teachers.subsets, or leave the "
        "method out"
    )


def _visual_teacher(cell: Cell, train_table: EmbeddingTable, fabric: "Fabric") -> Teachers:
    """What the teacher of the prevalent modalities says, before any alignment, under the name of the joint one."""
    name = _prevalent_teacher(cell)
    column = teacher_column(cell, name)
    store = teacher_embeddings(cell, cell.full, (name,))
    alone = EmbeddingStore(clips=store.clips, columns={JOINT: store.columns[column]})
    table = EmbeddingTable(alone, (JOINT,), train_table.rows, cell.task, device=fabric.device)
    said = np.full((len(table), 1, cell.task.num_outputs), np.nan)
    index = {row.name: number for number, row in enumerate(table.rows)}
    for fit in cell.fits()[1:] if _out_of_fold_wanted(cell.recipe) else ():
        check_held_out(cell, fit, cell.behind(fit, name))
        store = teacher_embeddings(cell, fit, (name,))
        outputs = store.columns[column].outputs
        assert outputs is not None
        held_out = [row.name for row in cell.of(fit.held_out) if row.name in index]
        said[[index[name] for name in held_out], 0] = outputs[store.rows(held_out), 0]
    # One candidate speaks whatever it is worth, so nobody asks for its losses.
    return Teachers(table, (JOINT,), np.full((len(table), 1), np.nan), _unremembered(cell, table, said))


def _out_of_fold_wanted(recipe: Recipe) -> bool:
    return recipe.teachers.outputs == "out-of-fold" and recipe.teachers.model == "network"


def _unremembered(cell: Cell, table: EmbeddingTable, said: np.ndarray) -> np.ndarray:
    """Outputs (N, M, C) in place of those that a network remembers, where the recipe wants that.

    Without a label a clip is as new to the full fit as to the others, and a forest is out of bag: NaN there.
    """
    remembered = np.array([row.label is not None for row in table.rows]) & _out_of_fold_wanted(cell.recipe)
    return np.where(remembered[:, None, None], said, np.nan)


def _teachers(cell: Cell, train_table: EmbeddingTable, fabric: "Fabric") -> Teachers:
    full, *crossed = cell.fits()
    names = tuple(cell.recipe.teacher_subsets)
    store = read_embeddings(cell.aligned(full))
    table = EmbeddingTable(store, names, train_table.rows, cell.task, device=fabric.device)
    if crossed:
        clips = [row.name for row in train_table.rows]
        files = [cell.out_of_fold(fit) for fit in crossed]
        judged = read_out_of_fold(files, clips, names, cell.task.num_outputs)
        return Teachers(table, names, judged.losses, _unremembered(cell, table, judged.outputs))
    rows = torch.arange(len(table), device=fabric.device)
    outputs = table.outputs(rows, table.draw(rows, jitter=False))
    targets = table.targets
    known = {name: table.present[name] & targets.labelled for name in names}
    losses = [
        torch.where(known[name], per_sample_loss(outputs[name].nan_to_num(), targets.target, cell.task), torch.nan)
        for name in names
    ]
    return Teachers(table, names, torch.stack(losses, 1).cpu().numpy())
