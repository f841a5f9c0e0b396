"""Building trained networks again from their checkpoints, and embedding clips with them: for stages 2 and 5."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.cache.embeddings import Column
from pipelines.cache.tables import ClipRow
from pipelines.models.encoders import make_encoder
from pipelines.models.teachers import UnimodalTeacher
from pipelines.recipe import Recipe, Task
from pipelines.stages.cells import Cell
from pipelines.stages.fitting import fabric_for
from pipelines.training.checkpoints import Checkpoint
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


def encoder_schema(modality: str, normaliser: Normaliser, shape: Sequence[int]) -> dict[str, Any]:
    """What a checkpoint must tell about an encoder beside its weights."""
    return {"encoders": {modality: {"normaliser": normaliser.to_schema(), "shape": list(shape)}}}
