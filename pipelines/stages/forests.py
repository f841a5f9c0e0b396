"""Teachers that are random forests on cached embeddings: grown in stage 2, restored wherever a fused teacher is.

A forest needs no early stopping, so the validation groups play no part in it. What it says of its training clips is out
of bag by groups: their embeddings and outputs need no cross-fitting.
"""

from functools import partial
from typing import Any

import numpy as np
import torch

from pipelines.cache.embeddings import read_embeddings
from pipelines.errors import SettingsError
from pipelines.metrics import fit_temperature
from pipelines.models.forest import Forest, ForestTeacher, log_votes, side_by_side
from pipelines.protocols.audit import Evidence, audit
from pipelines.recipe import Task
from pipelines.stages.artifacts import Artifact, Job
from pipelines.stages.cells import Cell, FitUnit
from pipelines.stages.fitting import full_schema, having, inherited_from
from pipelines.training.checkpoints import Checkpoint, save_checkpoint
from pipelines.training.forests import grow_forest
from pipelines.training.tables import EmbeddingTable
from pipelines.workspace import Fingerprint


def forest_artifact(unit: FitUnit, name: str, split_keys: dict[str, Any]) -> Artifact:
    """The checkpoint of a subset's forest.

    Args:
        unit: fold, seed and fit.
        name: of the teacher.
        split_keys: what else makes a teacher of this fit stale.

    Raises:
        SettingsError: an embedding has no room for what a forest says.
    """
    cell, fit = unit.cell, unit.fit
    width, outputs = cell.recipe.model.embedding, cell.task.num_outputs
    if width < outputs:
        raise SettingsError(
            f"model.embedding = {width} cannot hold the {outputs} outputs of a forest: use at least that many, or "
            "teachers.model = network"
        )
    keys = {**cell.learning_keys("teachers.trees"), "subset": list(cell.recipe.teacher_subsets[name]), **split_keys}
    fingerprint = Fingerprint(keys, {"embeddings": cell.embeddings(fit)}, cell.split.seed)
    return Artifact(cell.teacher(fit, name), fingerprint, partial(_grow, unit, name), cost=cell.count(fit.train))


def _grow(unit: FitUnit, name: str, job: Job) -> dict[str, Any]:
    cell, fit = unit.cell, unit.fit
    subset = cell.recipe.teacher_subsets[name]
    store = read_embeddings(cell.embeddings(fit))
    rows = [row for row in having(cell.of(fit.train), store, subset) if row.label is not None]
    evidence = [Evidence(f"teacher {name}", "weights", frozenset(row.group for row in rows))]
    evidence += inherited_from({f"encoder {modality}": cell.encoder(fit, modality) for modality in subset})
    audit(cell.split, evidence)
    table = EmbeddingTable(store, subset, rows, cell.task)
    every = torch.arange(len(table))
    embeddings = table.embeddings(every, table.draw(every, jitter=False))
    features = side_by_side(subset, embeddings, table.presence(every)).numpy()
    forest = grow_forest(
        features,
        table.targets.target.numpy(),
        [row.group for row in rows],
        task=cell.task,
        trees=cell.recipe.teachers.trees,
        seed=(cell.split.seed, cell.split.fold, fit.name, name),
    )
    temperature = _temperature(forest, features, table, cell.task)
    _save(cell, job, forest, temperature, subset, evidence)
    job.advance(len(rows))
    return {"trees": cell.recipe.teachers.trees, "depth": forest.depth, "clips": len(rows), "temperature": temperature}


def _temperature(forest: Forest, features: np.ndarray, table: EmbeddingTable, task: Task) -> float:
    """Fitted on votes of training clips, which are out of bag; of a forest of values 1."""
    if task.kind != "classes":
        return 1.0
    votes = forest(torch.from_numpy(features), forest.number([row.group for row in table.rows]))
    return fit_temperature(log_votes(votes, len(forest.roots)).numpy(), table.targets.target.numpy())


def _save(
    cell: Cell,
    job: Job,
    forest: Forest,
    temperature: float,
    subset: tuple[str, ...],
    evidence: list[Evidence],
) -> None:
    provenance = {
        purpose: sorted(set().union(*(item.groups for item in evidence if item.purpose == purpose)))
        for purpose in ("weights", "selection")
    }
    schema = {
        "modalities": list(subset),
        "forest": {"depth": forest.depth, "groups": list(forest.groups)},
        "temperature": temperature,
    }
    save_checkpoint(job.path, forest.state_dict(), full_schema(cell, provenance, schema), cell.recipe)


def restore_forest(checkpoint: Checkpoint) -> ForestTeacher:
    """The forest that a teacher's checkpoint holds."""
    assert checkpoint.recipe is not None
    forest = Forest(checkpoint.state, **checkpoint.schema["forest"])
    return ForestTeacher(
        modalities=tuple(checkpoint.schema["modalities"]),
        forest=forest,
        embedding=checkpoint.recipe.model.embedding,
        is_classes=Task.model_validate(checkpoint.schema["task"]).kind == "classes",
        temperature=checkpoint.schema["temperature"],
    ).eval()


def group_numbers(network: ForestTeacher, table: EmbeddingTable, rows: torch.Tensor) -> torch.Tensor:
    """The bags' columns of the groups of some rows, so that no tree speaks about what it was grown on."""
    return network.forest.number([table.rows[row].group for row in np.asarray(rows)])
