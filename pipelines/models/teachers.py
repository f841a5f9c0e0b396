"""Teachers: an encoder with its head for one modality, a fusion with its head for several, and their alignment.

All return (embedding (B, D), output (B, C)). No layer looks across samples.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn, where

from pipelines.models.adapters import Adapter
from pipelines.models.fusion import make_fusion
from pipelines.models.heads import Head
from pipelines.recipe import JOINT, ModelSettings


class UnimodalTeacher(nn.Module):
    """Encoder and head of one modality."""

    def __init__(self, *, encoder: nn.Module, embedding: int, num_outputs: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = Head(embedding=embedding, num_outputs=num_outputs, dropout=dropout)

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(B, ...) in the encoder's view -> embedding (B, D), output (B, C)."""
        embedding = self.encoder(values)
        return embedding, self.head(embedding)


class FusionTeacher(nn.Module):
    """Fusion and head over the embeddings of a subset of modalities, with neighbouring windows where `context` > 1."""

    def __init__(
        self, *, modalities: tuple[str, ...], settings: ModelSettings, num_outputs: int, context: int = 1
    ) -> None:
        super().__init__()
        self.modalities = modalities
        self.num_outputs = num_outputs
        self.fusion = make_fusion(modalities, settings, context=context)
        self.head = Head(embedding=settings.embedding, num_outputs=num_outputs, dropout=settings.dropout)

    def forward(self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """{modality: (B, D) or (B, L, D)}, {modality: (B,) or (B, L) bool} -> joint embedding (B, D), output (B, C)."""
        chosen = {name: embeddings[name] for name in self.modalities}
        joint = self.fusion(chosen, {name: present[name] for name in self.modalities})
        return joint, self.head(joint)


class FixedTeacher(nn.Module):
    """A joint teacher that is finished: what it makes of the samples is a column of embeddings, and nothing trains.

    Args:
        column: name of that column.
        num_outputs: the first so many dimensions of an embedding are the output, as those of a forest are.
    """

    def __init__(self, *, column: str, num_outputs: int) -> None:
        super().__init__()
        self.column, self.num_outputs = column, num_outputs

    def forward(self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """{column: (B, D)} -> joint embedding (B, D), output (B, C); zeros where the teacher is absent."""
        joint = where(present[self.column][:, None], embeddings[self.column], 0)
        return joint, joint[:, : self.num_outputs]


class Aligned(NamedTuple):
    """Embeddings {teacher: (B, D)} and outputs {teacher: (B, C)}, adapted; the joint teacher's under `joint`.

    A tuple, because Fabric looks for tensors in what a network returns and does not enter frozen dataclasses.
    """

    embeddings: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Aligner(nn.Module):
    """Adapters and heads of every teacher, and the joint teacher they are drawn to (METHOD: step 3)."""

    def __init__(
        self, *, teachers: tuple[str, ...], joint: FusionTeacher | FixedTeacher, settings: ModelSettings
    ) -> None:
        super().__init__()
        self.teachers = teachers
        self.joint = joint
        width, dropout = settings.embedding, settings.dropout
        self.adapters = nn.ModuleDict(
            {name: Adapter(embedding=width, bottleneck=width // 2, dropout=dropout) for name in teachers}
        )
        self.heads = nn.ModuleDict(
            {name: Head(embedding=width, num_outputs=joint.num_outputs, dropout=dropout) for name in teachers}
        )

    def forward(
        self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], own: Mapping[str, Tensor]
    ) -> Aligned:
        """Align a batch.

        Args:
            embeddings: modality -> (B, D) or (B, L, D), what the joint teacher sees.
            present: modality -> (B,) or (B, L) bool.
            own: teacher -> (B, D), what each teacher makes of the samples; anything where it lacks them.
        """
        joint, joint_output = self.joint(embeddings, present)
        adapted = {name: self.adapters[name](own[name].nan_to_num()) for name in self.teachers}
        outputs = {name: self.heads[name](embedding) for name, embedding in adapted.items()}
        return Aligned(embeddings={**adapted, JOINT: joint}, outputs={**outputs, JOINT: joint_output})
