"""Training one checkpoint: seeds, the audited loop, the history beside it, and who it was trained on, on record."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from torch import Tensor

from pipelines.cache.embeddings import EmbeddingStore, read_embeddings
from pipelines.errors import LeakageError
from pipelines.protocols.audit import Evidence, Purpose
from pipelines.protocols.splits import Fit
from pipelines.recipe import OptimisationSettings, Recipe
from pipelines.recipe.loading import plain
from pipelines.stages.artifacts import Artifact, Job
from pipelines.stages.cells import Cell
from pipelines.stages.execution import Unit, default_workers, run_units
from pipelines.stages.executors import Executor, Workers
from pipelines.stages.team import Team, follows
from pipelines.stages.tracking import RUN_DIGITS, Measurement, tracked
from pipelines.training.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from pipelines.training.device import accelerator, wanted_device
from pipelines.training.loop import FitContext, Problem, fit
from pipelines.training.samples import Sample
from pipelines.training.seeding import derive_seed, make_deterministic
from pipelines.training.tables import EmbeddingTable
from pipelines.workspace import Workspace, write_csv

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fabric_for(recipe: Recipe, team: Team | None = None) -> "Fabric":
    """Device and precision of a recipe; also fixes the number of threads of this process."""
    make_deterministic(recipe.training.threads)
    if team is not None:
        return team.fabric
    # Not above: it takes a second and a half, and whoever only asks what is stale has no use for it.
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    return Fabric(
        accelerator=accelerator(recipe.training.device),
        devices=1,
        precision=recipe.training.precision,
        # Named, not left to be found: Fabric takes every job of Slurm with several tasks for a step of them.
        plugins=[LightningEnvironment()],
    )


def training_workers(recipe: Recipe, asked: Workers | None = None) -> Workers:
    """Who trains: who was asked, or as many processes as the processors carry, but one for a graphics card."""
    if isinstance(asked, Executor):
        return asked.needing(cpus=recipe.training.threads, gpus=_cards(recipe, asked))
    if asked:
        return asked
    device = accelerator(recipe.training.device)
    return 1 if device == "cuda" else max(1, default_workers() // recipe.training.threads)


def _cards(recipe: Recipe, executor: Executor) -> float:
    """Graphics cards for a unit elsewhere: whoever hands out the work need not have one for those who do it."""
    device = wanted_device(recipe.training.device)
    if executor.gpus is not None:
        return executor.gpus if device != "cpu" else 0
    return 1 if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else 0


def run_tracked(
    label: str,
    recipe: Recipe,
    workspace: Workspace,
    units: Sequence[Unit],
    artifacts_of: Callable[[Unit], list[Artifact]],
    *,
    workers: Workers | None,
    track: Sequence[str],
    resume: bool = True,
) -> None:
    """Make what is stale of a stage that trains, and keep what it measures; see `run_units` and `tracked`.

    `resume`: whether trainings that were interrupted go on where they stopped, or begin again.
    """
    trainers = training_workers(recipe, workers)
    if not resume and not follows(trainers):
        for artifact in (artifact for unit in units for artifact in artifacts_of(unit)):
            _unfinished(artifact.path).unlink(missing_ok=True)
    with tracked(label, recipe, workspace, () if follows(trainers) else track) as keep:
        run_units(label, units, artifacts_of, workers=trainers, root=workspace.root, keep=keep)


def train(
    cell: Cell,
    job: Job,
    *,
    name: str,
    build: "Callable[[Fabric], Problem]",
    settings: OptimisationSettings,
    schema: Mapping[str, Any],
    state: Callable[[Problem], Mapping[str, Tensor]] | None = None,
    calibrate: Callable[[Checkpoint], dict[str, Any]] | None = None,
    beside: Callable[[Problem, int], None] | None = None,
) -> dict[str, Any]:
    """Train a problem and write its checkpoint, which of a team the first process does; returns its sidecar's details.

    Args:
        name: unique within the cell; seeds the initial weights.
        build: makes the problem, after seeding.
        schema: what the checkpoint must tell beside weights and recipe.
        state: the tensors to write; by default those of the problem's network.
        calibrate: finds what the checkpoint tells under `calibration`, from what it holds beside that.
        beside: writes what else belongs to the checkpoint, told after how many epochs its weights were kept.
    """
    context = _context(cell, job, model=schema.get("method", name.removeprefix("full: ")))
    torch.manual_seed(derive_seed(cell.split.seed, cell.split.fold, name, "initial weights"))
    problem = build(context.fabric)
    history = fit(problem, settings, context)
    details = _details(history, job.team)
    if follows(job.team):
        return details
    _write_history(job, history)
    if beside:
        beside(problem, int(details["best_epoch"]) + 1)
    values = dict(state(problem) if state else problem.network.state_dict())
    told = full_schema(cell, _provenance(problem), schema)
    if calibrate:
        told["calibration"] = calibrate(Checkpoint(values, told, cell.recipe))
    save_checkpoint(job.path, values, told, cell.recipe)
    context.resume.unlink(missing_ok=True)
    return details


def _details(history: list[dict[str, float]], team: Team | None) -> dict[str, Any]:
    """For the sidecar: epochs, the best one, its validation loss, and how many processes trained."""
    best = min(history, key=lambda row: row["validation_loss"])
    found = {"epochs": len(history), "best_epoch": best["epoch"], "validation_loss": best["validation_loss"]}
    return found if team is None else {**found, "processes": team.size}


def _unfinished(checkpoint: Path) -> Path:
    """Where the state of a training lies until it is done."""
    return checkpoint.with_name(f".{checkpoint.name}.resume")


def _context(cell: Cell, job: Job, model: str) -> FitContext:
    fold, seed = cell.split.fold, cell.split.seed

    def log(row: dict[str, float]) -> None:
        values = {name: value for name, value in row.items() if name != "epoch"}
        job.log(Measurement(job.key[:RUN_DIGITS], job.path, fold, seed, model, int(row["epoch"]), values))

    return FitContext(
        fabric=fabric_for(cell.recipe, job.team),
        split=cell.split,
        resume=_unfinished(job.path),
        key=job.key,
        advance=job.advance,
        shrink=job.shrink,
        log=log,
    )


def _provenance(problem: Problem) -> dict[str, list[str]]:
    """Purpose -> groups that the problem itself used; what it builds on is told by other checkpoints."""
    return {item.purpose: sorted(item.groups) for item in problem.evidence() if item.step == problem.name}


def problem_tables(
    cell: Cell,
    fit: Fit,
    columns: Sequence[str],
    needed: Sequence[str],
    fabric: "Fabric",
    store: EmbeddingStore | None = None,
    *,
    context: bool = True,
) -> dict[str, Any]:
    """What every problem on a fit's embeddings is given: two tables, and whose clips the encoders have seen.

    Args:
        columns: modalities (or teachers) of the tables.
        needed: a sample enters a table when it has at least one of these.
        store: the embeddings; by default those of the fit's encoders.
        context: whether a sample comes with its neighbours in time, where the recipe's windows have any.
    """
    store = store or read_embeddings(cell.embeddings(fit))
    inherited = inherited_from({f"teacher {name}": cell.encoder(fit, name) for name in cell.recipe.modalities})
    parts = {"train": fit.train, "validation": fit.validation}
    windows = cell.recipe.windows if context else None
    tables = {
        part: EmbeddingTable(
            store,
            columns,
            having(cell.of(groups), store, needed),
            cell.task,
            windows=windows,
            device=fabric.device,
        )
        for part, groups in parts.items()
    }
    return {**tables, "inherited": inherited}


def having(rows: Sequence[Sample], store: EmbeddingStore, needed: Sequence[str]) -> list[Sample]:
    """The samples that have at least one of the needed modalities."""
    index = store.rows([row.name for row in rows])
    there = np.any([store.columns[name].present[index] for name in needed], axis=0)
    return [row for row, usable in zip(rows, there, strict=True) if usable]


def full_schema(cell: Cell, provenance: Mapping[str, Sequence[str]], schema: Mapping[str, Any]) -> dict[str, Any]:
    """What every checkpoint of a cell tells: the task, whose clips it was made from, the scale of continuous labels.

    Args:
        cell: fold and seed.
        provenance: purpose -> groups, for the audit of what builds on the checkpoint.
        schema: what this one tells beside that.
    """
    known = {"task": plain(cell.task), "provenance": provenance, **schema}
    return known if cell.label_scale is None else {**known, "label_scale": cell.label_scale.to_schema()}


def inherited_from(checkpoints: Mapping[str, Path]) -> tuple[Evidence, ...]:
    """What checkpoints {step, in words: file} report to the audit of what builds on them."""
    headers = {name: load_checkpoint(path, weights=False) for name, path in checkpoints.items()}
    return tuple(evidence for name, header in headers.items() for evidence in provenance_of(name, header))


def provenance_of(name: str, checkpoint: Checkpoint) -> tuple[Evidence, ...]:
    """Whose clips a checkpoint was made from, and for what purpose, for the audit of what builds on it."""
    known = dict(checkpoint.schema["provenance"])
    if "calibration" in checkpoint.schema:
        known["calibration"] = checkpoint.schema["calibration"]["groups"]
    # The gravest purpose first: it is the one that a message names.
    return tuple(Evidence(name, each, frozenset(known[each])) for each in get_args(Purpose) if each in known)


def check_held_out(cell: Cell, fit: Fit, behind: Mapping[str, Path]) -> None:
    """Refuse out-of-fold opinions of what remembers the groups that it is asked about.

    Args:
        cell: fold and seed.
        fit: a part of the cross-fitting.
        behind: step, in words -> checkpoint.

    Raises:
        LeakageError: one of the checkpoints was made from a group that the fit holds out.
    """
    for item in inherited_from(behind):
        seen = sorted(item.groups & set(fit.held_out))
        if seen:
            raise LeakageError(
                f"{cell.label}, {fit.name}, {item.step}: made from {', '.join(seen)}, whom it must not know to judge "
                "them: run `mtpkd train-teachers` and `mtpkd align` again"
            )


def _write_history(job: Job, history: list[dict[str, float]]) -> None:
    columns = list(dict.fromkeys(key for row in history for key in row))
    rows = [[f"{row[key]:.6g}" if key in row else "" for key in columns] for row in history]
    write_csv(job.path.with_suffix(".history.csv"), columns, rows)
