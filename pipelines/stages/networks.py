"""Building trained networks again from their checkpoints, and embedding clips with them: for stages 2 and 5."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from pipelines.cache.embeddings import Column, EmbeddingStore, read_embeddings
from pipelines.models.forest import ForestTeacher
from pipelines.models.teachers import FusionTeacher
from pipelines.protocols.splits import Fit
from pipelines.recipe import JOINT, Task
from pipelines.stages.cells import Cell
from pipelines.stages.fitting import fabric_for
from pipelines.stages.forests import group_numbers, restore_forest
from pipelines.training.checkpoints import Checkpoint, load_checkpoint
from pipelines.training.device import prepare_encoder
from pipelines.training.normalisation import Normaliser
from pipelines.training.problems.encoder import ModalityReader, embed
from pipelines.training.restoring import restore_teacher
from pipelines.training.samples import Sample
from pipelines.training.sources import make_source
from pipelines.training.tables import EmbeddingTable, masked_column

_FUSED_AT_ONCE = 1024
"""Samples fused in one pass: with their neighbours a whole corpus would not fit into memory."""


def embed_modality(
    cell: Cell,
    checkpoint: Checkpoint,
    modality: str,
    rows: Sequence[Sample],
    *,
    samplings: int = 1,
    prefix: str = "",
) -> Column:
    """Embeddings and outputs of any samples by a trained encoder; NaN and not present where the modality is not."""
    fabric = fabric_for(cell.recipe)
    network = restore_teacher(checkpoint, modality, prefix).to(fabric.device)
    prepare_encoder(network.encoder, fabric.device, compiled=cell.recipe.training.compiled)
    source = make_source(cell.workspace, cell.recipe, modality)
    present = np.array([source.is_usable(row) for row in rows], bool)
    usable = [row for row, there in zip(rows, present, strict=True) if there]
    if not usable:
        shape = (0, samplings)
        return masked_column(
            np.zeros((*shape, cell.recipe.model.embedding)), np.zeros((*shape, cell.task.num_outputs)), present
        )
    normaliser = Normaliser.from_schema(checkpoint.schema["encoders"][modality]["normaliser"])
    reader = ModalityReader(source, normaliser.extended(source, usable), fabric.device)
    values, outputs = embed(network, reader, usable, samplings=samplings, seed=(cell.split.seed, cell.split.fold))
    return masked_column(values, outputs, present)


def restore_fusion(checkpoint: Checkpoint) -> FusionTeacher | ForestTeacher:
    """The trained fusion and head, or the forest, that a fused teacher's checkpoint holds."""
    assert checkpoint.recipe is not None
    if "forest" in checkpoint.schema:
        return restore_forest(checkpoint)
    outputs = Task.model_validate(checkpoint.schema["task"]).num_outputs
    modalities = tuple(checkpoint.schema["modalities"])
    network = FusionTeacher(
        modalities=modalities,
        settings=checkpoint.recipe.model,
        num_outputs=outputs,
        context=checkpoint.recipe.windows.context,
    )
    network.load_state_dict(checkpoint.state)
    return network.eval()


def teacher_column(cell: Cell, teacher: str) -> str:
    """The column of `teacher_embeddings` with a teacher's own embedding: that of its encoder where it has only one."""
    return f"teacher {teacher}" if cell.is_fused(teacher) else teacher


def teacher_embeddings(cell: Cell, fit: Fit, teachers: Sequence[str]) -> EmbeddingStore:
    """A fit's embeddings with a column more for each of the teachers that fuses them.

    Not for a joint network: it trains on while the others are aligned to it.
    """
    store = read_embeddings(cell.embeddings(fit))
    columns = dict(store.columns)
    rows = cell.of((*cell.split.train, *cell.split.validation))
    for name in teachers:
        subset = cell.recipe.teacher_subsets[name]
        if cell.is_fused(name) and (name != JOINT or cell.recipe.teachers.model == "forest"):
            network = restore_fusion(load_checkpoint(cell.teacher(fit, name)))
            table = EmbeddingTable(store, subset, rows, cell.task, windows=cell.recipe.windows)
            present = table.any_present(subset).numpy()
            samplings = max(store.columns[modality].embeddings.shape[1] for modality in subset)
            columns[teacher_column(cell, name)] = masked_column(*fuse(network, table, present, samplings), present)
    return EmbeddingStore(clips=store.clips, columns=columns)


@torch.no_grad()
def fuse(
    network: nn.Module, table: EmbeddingTable, present: np.ndarray, samplings: int
) -> tuple[np.ndarray, np.ndarray]:
    """What a fused teacher or student makes of the P samples of a table that are `present`, at V temporal samplings.

    Returns:
        Embeddings (P, V, D) and outputs (P, V, C).
    """
    rows = torch.from_numpy(np.flatnonzero(present))
    views: list[tuple[np.ndarray, np.ndarray]] = []
    for view in range(samplings):
        parts = [
            network(
                table.embeddings(part, torch.full((len(part),), (view + 0.5) / samplings)),
                table.presence(part),
                *([group_numbers(network, table, part)] if isinstance(network, ForestTeacher) else ()),
            )
            for part in rows.split(_FUSED_AT_ONCE)
        ]
        views.append((torch.cat([part[0] for part in parts]).numpy(), torch.cat([part[1] for part in parts]).numpy()))
    embeddings, outputs = (np.stack(values, 1) for values in zip(*views, strict=True))
    return embeddings, outputs


def encoder_schema(modality: str, normaliser: Normaliser, shape: Sequence[int]) -> dict[str, Any]:
    """What a checkpoint must tell about an encoder beside its weights."""
    return {"encoders": {modality: {"normaliser": normaliser.to_schema(), "shape": list(shape)}}}
