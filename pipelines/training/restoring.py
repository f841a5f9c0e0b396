"""Building networks: untrained ones from a recipe, and trained ones from their checkpoints."""

from collections.abc import Sequence

from pipelines.models.encoders import make_encoder
from pipelines.models.recording import RecordingNetwork
from pipelines.models.student import StudentNetwork
from pipelines.models.teachers import UnimodalTeacher
from pipelines.objectives import METHODS
from pipelines.recipe import Recipe, Task
from pipelines.training.checkpoints import Checkpoint
from pipelines.training.labels import LabelScale


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
    network = make_teacher(recipe, modality, _task(checkpoint), encoder["shape"])
    network.load_state_dict(checkpoint.part(prefix) if prefix else checkpoint.state)
    return network.eval()


def make_student(recipe: Recipe, method: str, num_outputs: int) -> StudentNetwork:
    """An untrained student of a method."""
    return StudentNetwork(
        prevalent=recipe.prevalent,
        privileged=recipe.privileged,
        settings=recipe.model,
        num_outputs=num_outputs,
        stands_in=METHODS[method].stands_in,
        context=recipe.windows.context,
    )


def restore_student(checkpoint: Checkpoint) -> StudentNetwork:
    """The trained student of a checkpoint, without its encoders: prevalent embeddings -> prediction."""
    assert checkpoint.recipe is not None
    network = make_student(checkpoint.recipe, checkpoint.schema["method"], _task(checkpoint).num_outputs)
    network.load_state_dict(checkpoint.part("student"))
    return network.eval()


def restore_recording(checkpoint: Checkpoint) -> RecordingNetwork:
    """The whole student of a checkpoint, encoder included: windows of one recording -> outputs on the labels' scale.

    Raises:
        ValueError: the student needs more modalities than one.
    """
    assert checkpoint.recipe is not None
    student, scale = restore_student(checkpoint), checkpoint.schema.get("label_scale")
    known = None if scale is None else LabelScale.from_schema(scale)
    (modality, *_) = student.prevalent
    return RecordingNetwork(
        encoder=restore_teacher(checkpoint, modality, f"encoders.{modality}").encoder,
        student=student,
        context=checkpoint.recipe.windows.context,
        scale=None if known is None else (known.mean, known.std),
    )


def _task(checkpoint: Checkpoint) -> Task:
    return Task.model_validate(checkpoint.schema["task"])
