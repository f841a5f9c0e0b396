"""Stage 3: teachers -> adapters and aligned embeddings; and what each teacher's opinion is worth, out of fold.

Every fit is aligned for itself. The full fit's aligned embeddings are what the student is distilled from; the
cross-fitted ones are only asked what each teacher says of clips of subjects that it has never seen, and how well.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import cosine_similarity

from pipelines.cache.embeddings import Column, EmbeddingStore, write_embeddings
from pipelines.cache.out_of_fold import OutOfFold, write_out_of_fold
from pipelines.models.context import centre
from pipelines.models.teachers import Aligned, Aligner, FixedTeacher, FusionTeacher
from pipelines.objectives.task_loss import per_sample_loss
from pipelines.protocols.splits import Fit
from pipelines.recipe import JOINT, Recipe
from pipelines.stages.artifacts import Artifact, Job, warn_of_stale
from pipelines.stages.cells import Cell, FitUnit, load_cells
from pipelines.stages.executors import Workers
from pipelines.stages.fitting import check_held_out, inherited_from, problem_tables, run_tracked, train
from pipelines.stages.locking import exclusive
from pipelines.stages.networks import teacher_column, teacher_embeddings
from pipelines.stages.train_teachers import artifacts_of as teachers_of
from pipelines.training.checkpoints import load_checkpoint
from pipelines.training.problems.alignment import AlignmentProblem
from pipelines.training.samples import Sample
from pipelines.training.tables import EmbeddingTable, masked_column
from pipelines.workspace import Fingerprint, Workspace, atomic_path

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_ALIGNED_AT_ONCE = 1024
"""Samples aligned in one pass: with their neighbours a whole corpus would not fit into memory."""


@exclusive
def run(
    recipe: Recipe,
    workspace: Workspace,
    *,
    workers: Workers | None = None,
    track: Sequence[str] = (),
    look_back: bool = True,
    resume: bool = True,
) -> None:
    """Align every stale fit; `track` names services. Raises MissingArtifact before `train-teachers`.

    `look_back`: whether to warn of stale teachers, which costs as much as finding what is stale here.
    `resume`: see `run_tracked`.
    """
    cells = load_cells(recipe, workspace)
    units = [FitUnit(cell, fit) for cell in cells for fit in cell.fits()]
    for unit in units:
        workspace.require(unit.cell.teacher(unit.fit, JOINT), "mtpkd train-teachers")
    if look_back:
        warn_of_stale("train-teachers", units, teachers_of, root=workspace.root)
    run_tracked("align", recipe, workspace, units, artifacts_of, workers=workers, track=track, resume=resume)


def artifacts_of(unit: FitUnit) -> list[Artifact]:
    """Adapters, then aligned embeddings (full fit) or what is said out of fold (cross-fitting)."""
    cell, fit = unit.cell, unit.fit
    teachers = {f"teacher {name}": cell.teacher(fit, name) for name in cell.recipe.teacher_subsets}
    embeddings = {"embeddings": cell.embeddings(fit)}
    keys = cell.learning_keys(
        "model", "alignment", "training.alignment", "prevalent", "privileged", "teachers.subsets", "teachers.joint"
    )
    keys |= {"train": list(fit.train), "validation": list(fit.validation)}
    adapters = Artifact(
        path=cell.adapters(fit),
        fingerprint=Fingerprint(keys, {**teachers, **embeddings}, cell.split.seed),
        build=partial(_train_adapters, unit),
        cost=cell.count(fit.train) * cell.recipe.training.alignment.epochs,
        trained=True,
    )
    fingerprint = Fingerprint(
        {"held_out": list(fit.held_out), "says": "losses and outputs"}, {"adapters": cell.adapters(fit), **embeddings}
    )
    if fit.name == "full":
        return [adapters, Artifact(cell.aligned(fit), fingerprint, partial(_write_aligned, unit), cost=0)]
    return [adapters, Artifact(cell.out_of_fold(fit), fingerprint, partial(_write_out_of_fold, unit), cost=0)]


def _train_adapters(unit: FitUnit, job: Job) -> dict[str, Any]:
    cell, fit, recipe = unit.cell, unit.fit, unit.cell.recipe
    columns, needed = _columns(cell), recipe.modalities

    def build(fabric: "Fabric") -> AlignmentProblem:
        network = _make_aligner(cell)
        _start_joint(network, cell, fit)
        store = teacher_embeddings(cell, fit, tuple(recipe.teacher_subsets))
        shared = problem_tables(cell, fit, columns, needed, fabric, store)
        shared["inherited"] += inherited_from(_behind(cell, fit))
        return AlignmentProblem(
            network=network,
            columns=_teacher_columns(cell),
            settings=recipe.alignment,
            task=cell.task,
            **shared,
            name=f"{fit.name}: alignment",
            batch_size=recipe.training.alignment.batch_size,
        )

    return train(
        cell,
        job,
        name=f"{fit.name}: alignment",
        build=build,
        settings=recipe.training.alignment,
        schema={"teachers": list(recipe.teacher_subsets)},
    )


def _columns(cell: Cell) -> tuple[str, ...]:
    """Of the table that is aligned: modalities, and every teacher's own embedding that is no modality's."""
    finished = (teacher_column(cell, JOINT),) if cell.recipe.teachers.model == "forest" else ()
    return tuple(dict.fromkeys((*cell.recipe.modalities, *_teacher_columns(cell).values(), *finished)))


def _teacher_columns(cell: Cell) -> dict[str, str]:
    """{teacher: column of its own embedding}, for all but the joint one."""
    return {name: teacher_column(cell, name) for name in cell.recipe.teacher_subsets if name != JOINT}


def _make_aligner(cell: Cell) -> Aligner:
    recipe = cell.recipe
    if recipe.teachers.model == "forest":
        joint = FixedTeacher(column=teacher_column(cell, JOINT), num_outputs=cell.task.num_outputs)
    else:
        joint = FusionTeacher(
            modalities=recipe.teacher_subsets[JOINT],
            settings=recipe.model,
            num_outputs=cell.task.num_outputs,
            context=recipe.windows.context,
        )
    teachers = tuple(name for name in recipe.teacher_subsets if name != JOINT)
    return Aligner(teachers=teachers, joint=joint, settings=recipe.model)


def _start_joint(network: Aligner, cell: Cell, fit: Fit) -> None:
    """Give the joint teacher the weights that stage 2 left; a forest has none, and is finished."""
    if isinstance(network.joint, FusionTeacher):
        network.joint.load_state_dict(load_checkpoint(cell.teacher(fit, JOINT)).state)


def _behind(cell: Cell, fit: Fit) -> dict[str, Path]:
    """The checkpoints of all teachers."""
    return {step: path for name in cell.recipe.teacher_subsets for step, path in cell.behind(fit, name).items()}


def _load_aligner(cell: Cell, fit: Fit) -> Aligner:
    network = _make_aligner(cell)
    network.load_state_dict(load_checkpoint(cell.adapters(fit)).state)
    return network.eval()


@torch.no_grad()
def _apply(network: Aligner, cell: Cell, table: EmbeddingTable, sampling: float) -> Aligned:
    """Aligned embeddings and outputs of every sample of a table at one sampling, given as a share of all."""
    columns = _teacher_columns(cell)
    parts: list[Aligned] = []
    for rows in torch.arange(len(table)).split(_ALIGNED_AT_ONCE):
        embeddings = table.embeddings(rows, torch.full((len(rows),), sampling))
        own = {name: centre(embeddings[column]) for name, column in columns.items()}
        parts.append(network(embeddings, table.presence(rows), own))
    return Aligned(
        embeddings={name: torch.cat([part.embeddings[name] for part in parts]) for name in parts[0].embeddings},
        outputs={name: torch.cat([part.outputs[name] for part in parts]) for name in parts[0].outputs},
    )


def _can_speak(table: EmbeddingTable, cell: Cell) -> dict[str, torch.Tensor]:
    """{teacher: (N,) bool}: the joint teacher speaks wherever any of its modalities is there."""
    there = {name: table.present[column] for name, column in _teacher_columns(cell).items()}
    there[JOINT] = table.any_present(cell.recipe.teacher_subsets[JOINT])
    return there


def _write_aligned(unit: FitUnit, job: Job) -> dict[str, Any]:
    cell, recipe = unit.cell, unit.cell.recipe
    rows = cell.of((*cell.split.train, *cell.split.validation))
    table = _table(unit, rows)
    samplings = cell.samplings
    network, there = _load_aligner(cell, unit.fit), _can_speak(table, cell)
    views = [_apply(network, cell, table, (view + 0.5) / samplings) for view in range(samplings)]
    columns: dict[str, Column] = {}
    for name in recipe.teacher_subsets:
        # A teacher that does not see the face says the same at every temporal sampling of it.
        sees_video = any(recipe.corpus.kinds[modality] == "video" for modality in recipe.teacher_subsets[name])
        kept = views if sees_video else views[:1]
        embeddings = np.stack([view.embeddings[name].numpy() for view in kept], 1)
        outputs = np.stack([view.outputs[name].numpy() for view in kept], 1)
        present = there[name].numpy()
        columns[name] = masked_column(embeddings[present], outputs[present], present)
    with atomic_path(job.path) as partial_path:
        write_embeddings(partial_path, EmbeddingStore(clips=tuple(row.name for row in rows), columns=columns))
    return {"clips": len(rows), "alignment_gap": _alignment_gap(unit, table, views[0])}


@torch.no_grad()
def _alignment_gap(unit: FitUnit, table: EmbeddingTable, aligned: Aligned) -> dict[str, dict[str, float]]:
    """{teacher: mean 1 - cosine to the joint embedding, before and after}, NaN where no clip has both.

    On clips of the validation groups, which moved no weight here. Before: the teacher's own embedding, and the joint
    one as stage 2 left it. At the first temporal sampling, labels or none.
    """
    cell, draw = unit.cell, 0.5 / unit.cell.samplings
    before = _make_aligner(cell).eval()
    _start_joint(before, cell, unit.fit)
    validation = set(cell.split.validation)
    held_out = torch.tensor([row.group in validation for row in table.rows], dtype=torch.bool)
    there, gaps = _can_speak(table, cell), {}
    for name, column in _teacher_columns(cell).items():
        rows = torch.nonzero(held_out & there[name] & there[JOINT]).flatten()
        sides: dict[str, list[torch.Tensor]] = {"before": [], "after": []}
        for part in rows.split(_ALIGNED_AT_ONCE):
            embeddings = table.embeddings(part, torch.full((len(part),), draw))
            whole, _ = before.joint(embeddings, table.presence(part))
            sides["before"].append(1 - cosine_similarity(centre(embeddings[column]), whole))
            adapted, drawn_to = aligned.embeddings[name][part], aligned.embeddings[JOINT][part]
            sides["after"].append(1 - cosine_similarity(adapted, drawn_to))
        gaps[name] = {side: torch.cat(parts).mean().item() if len(rows) else np.nan for side, parts in sides.items()}
    return gaps


def _table(unit: FitUnit, rows: Sequence[Sample]) -> EmbeddingTable:
    store = teacher_embeddings(unit.cell, unit.fit, tuple(unit.cell.recipe.teacher_subsets))
    return EmbeddingTable(store, _columns(unit.cell), rows, unit.cell.task, windows=unit.cell.recipe.windows)


def _write_out_of_fold(unit: FitUnit, job: Job) -> dict[str, Any]:
    cell, fit = unit.cell, unit.fit
    check_held_out(cell, fit, {**_behind(cell, fit), "alignment": cell.adapters(fit)})
    rows = cell.of(fit.held_out)
    table = _table(unit, rows)
    aligned, there = _apply(_load_aligner(cell, fit), cell, table, sampling=0.0), _can_speak(table, cell)
    names, targets = list(cell.recipe.teacher_subsets), table.targets
    losses = [
        torch.where(
            there[name] & targets.labelled,
            per_sample_loss(aligned.outputs[name], targets.target, cell.task),
            torch.nan,
        )
        for name in names
    ]
    outputs = [torch.where(there[name][:, None], aligned.outputs[name], torch.nan) for name in names]
    judged = OutOfFold(torch.stack(losses, 1).numpy(), torch.stack(outputs, 1).numpy())
    write_out_of_fold(job.path, [row.name for row in rows], names, judged)
    return {"clips": len(rows)}
