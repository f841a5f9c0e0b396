"""Building trained networks again from their checkpoints, and embedding clips with them: for stages 2 and 5."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipelines.cache.embeddings import Column, EmbeddingStore, read_embeddings
from pipelines.cache.tables import ClipRow
from pipelines.models.encoders import make_encoder
from pipelines.models.teachers import FusionTeacher, UnimodalTeacher
from pipelines.protocols.splits import Fit
from pipelines.recipe import JOINT, Recipe, Task
from pipelines.stages.cells import Cell
from pipelines.stages.fitting import fabric_for
from pipelines.training.checkpoints import Checkpoint, load_checkpoint
from pipelines.training.normalisation import Normaliser
from pipelines.training.problems.encoder import ModalityReader, embed
from pipelines.training.sources import make_source
from pipelines.training.tables import masked_column


def make_teacher(recipe: Recipe, modality: str, task: Task, shape: Sequence[int]) -> UnimodalTeacher:
    """An untrained encoder and head for clips of a shape, e.g. (3, T, S, S) frames or (K,) features."""
    settings = recipe.encoders[modality]
    return UnimodalTeacher(
        encoder=make_encoder(
            settings, embedding=recipe.model.embedding, in_features=shape[0] if len(shape) == 1 else None
        ),
        embedding=recipe.model.embedding,
        num_outputs=task.num_outputs,
        dropout=settings.dropout,
    )


def restore_teacher(checkpoint: Checkpoint, modality: str, prefix: str = "") -> UnimodalTeacher:
    """The trained encoder and head that a teacher's checkpoint holds, or a student's under a prefix."""
    assert checkpoint.recipe is not None
    # Published weights have done their part: what training made of them is in the checkpoint, the file may be gone.
    encoders = {name: item.model_copy(update={"weights": None}) for name, item in checkpoint.recipe.encoders.items()}
    recipe = checkpoint.recipe.model_copy(update={"encoders": encoders})
    encoder = checkpoint.schema["encoders"][modality]
    network = make_teacher(recipe, modality, Task.model_validate(checkpoint.schema["task"]), encoder["shape"])
    network.load_state_dict(checkpoint.part(prefix) if prefix else checkpoint.state)
    return network.eval()


def embed_modality(
    cell: Cell,
    checkpoint: Checkpoint,
    modality: str,
    rows: Sequence[ClipRow],
    *,
    samplings: int = 1,
    prefix: str = "",
) -> Column:
    """Embeddings and outputs of any clips by a trained encoder; clips without the modality are NaN and not present."""
    fabric = fabric_for(cell.recipe)
    network = restore_teacher(checkpoint, modality, prefix).to(fabric.device)
    source = make_source(cell.workspace, cell.recipe, modality)
    present = np.array([source.is_usable(row) for row in rows], bool)
    usable = [row for row, there in zip(rows, present, strict=True) if there]
    normaliser = Normaliser.from_schema(checkpoint.schema["encoders"][modality]["normaliser"])
    reader = ModalityReader(source, normaliser.extended(source, usable), fabric.device)
    values, outputs = embed(network, reader, usable, samplings=samplings, seed=(cell.split.seed, cell.split.fold))
    return masked_column(values, outputs, present)


def restore_fusion(checkpoint: Checkpoint) -> FusionTeacher:
    """The trained transformer and head that a multimodal teacher's checkpoint holds."""
    assert checkpoint.recipe is not None
    outputs = Task.model_validate(checkpoint.schema["task"]).num_outputs
    modalities = tuple(checkpoint.schema["modalities"])
    network = FusionTeacher(modalities=modalities, settings=checkpoint.recipe.model, num_outputs=outputs)
    network.load_state_dict(checkpoint.state)
    return network.eval()


@torch.no_grad()
def teacher_embeddings(cell: Cell, fit: Fit) -> EmbeddingStore:
    """A fit's embeddings with a column more for each teacher that sees several modalities, but not all."""
    store = read_embeddings(cell.embeddings(fit))
    columns = dict(store.columns)
    for name, subset in cell.recipe.teacher_subsets.items():
        if name == JOINT or len(subset) == 1:
            continue
        network = restore_fusion(load_checkpoint(cell.teacher(fit, name)))
        present = np.any([store.columns[modality].present for modality in subset], axis=0)
        views = []
        for view in range(max(store.columns[modality].embeddings.shape[1] for modality in subset)):
            chosen = {m: store.columns[m].embeddings for m in subset}
            inputs = {m: torch.from_numpy(e[present, min(view, e.shape[1] - 1)]) for m, e in chosen.items()}
            there = {m: torch.from_numpy(store.columns[m].present[present]) for m in subset}
            views.append(network(inputs, there))
        embeddings, outputs = (np.stack([view[part].numpy() for view in views], 1) for part in (0, 1))
        columns[name] = masked_column(embeddings, outputs, present)
    return EmbeddingStore(clips=store.clips, columns=columns)


def encoder_schema(modality: str, normaliser: Normaliser, shape: Sequence[int]) -> dict[str, Any]:
    """What a checkpoint must tell about an encoder beside its weights."""
    return {"encoders": {modality: {"normaliser": normaliser.to_schema(), "shape": list(shape)}}}
