"""The student: needs only the prevalent modalities, and comes in three kinds that differ in nothing else.

- `nothing`: the visual-only baseline; its fusion sees the prevalent modalities alone.
- `zeros`: the joint teacher's shape with zeros where privileged embeddings would be; the matched control, which tells
  what the architecture gives from what distillation gives.
- `hallucination`: the joint teacher's shape with the output of a frozen hallucination net.

The fusion's result is added to the prevalent embedding, and its last projection starts at zero: warm-started with the
visual teacher's head, every kind begins as exactly that teacher, and training can only depart from it. With
neighbouring windows, privileged embeddings are stood in for at each, and the sample's own prevalent one is added to.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import nn

from pipelines.models.context import centre
from pipelines.models.fusion import make_fusion, mean_present
from pipelines.models.hallucination import HallucinationNet
from pipelines.models.heads import Head
from pipelines.recipe import ModelSettings

StandsIn = Literal["nothing", "zeros", "hallucination"]


class StudentOutput(NamedTuple):
    """What a student says of a batch; a tuple, because Fabric does not enter frozen dataclasses.

    Attributes:
        embedding: (B, D).
        output: (B, num_outputs), logits or continuous values.
    """

    embedding: torch.Tensor
    output: torch.Tensor


class StudentNetwork(nn.Module):
    """Prevalent embeddings -> embedding and prediction.

    Args:
        prevalent: modalities there at test time.
        privileged: modalities there in training only.
        settings: shapes, those of the joint teacher.
        num_outputs: classes, or continuous dimensions.
        stands_in: what takes the place of privileged embeddings.
        context: largest number L of neighbouring windows, odd, the sample in the middle.
    """

    def __init__(
        self,
        *,
        prevalent: tuple[str, ...],
        privileged: tuple[str, ...],
        settings: ModelSettings,
        num_outputs: int,
        stands_in: StandsIn,
        context: int = 1,
    ) -> None:
        super().__init__()
        self.prevalent = prevalent
        self.privileged = () if stands_in == "nothing" else privileged
        self.hallucination: HallucinationNet | None = None
        if stands_in == "hallucination":
            self.hallucination = HallucinationNet(
                privileged=privileged,
                prevalent=settings.embedding,
                embedding=settings.embedding,
                dropout=settings.dropout,
            )
            self.hallucination.requires_grad_(False)
        self.fusion = make_fusion((*prevalent, *self.privileged), settings, context=context)
        nn.init.zeros_(self.fusion.projection.weight)
        nn.init.zeros_(self.fusion.projection.bias)
        self.head = Head(embedding=settings.embedding, num_outputs=num_outputs, dropout=settings.dropout)
        self.train()

    def train(self, mode: bool = True) -> "StudentNetwork":
        """As any module's, but the frozen hallucination net stays in evaluation mode."""
        super().train(mode)
        if self.hallucination is not None:
            self.hallucination.eval()
        return self

    def warm_start(self, head_state: Mapping[str, torch.Tensor]) -> bool:
        """Copy the head of the prevalent modality's teacher, so that the untrained student predicts what it predicts.

        Args:
            head_state: state dict of that teacher's `Head`.

        Returns:
            Whether it was done: with several prevalent modalities no single teacher's head fits, and nothing changes.
        """
        if len(self.prevalent) != 1:
            return False
        self.head.load_state_dict(head_state)
        return True

    def load_hallucination(self, state: Mapping[str, torch.Tensor]) -> None:
        """Fill the frozen hallucination net with the weights of the trained one.

        Raises:
            ValueError: this student has none.
        """
        if self.hallucination is None:
            raise ValueError("only a student with stands_in='hallucination' holds a hallucination net")
        self.hallucination.load_state_dict(state)

    def forward(self, embeddings: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]) -> StudentOutput:
        """Predict.

        Args:
            embeddings: prevalent modality -> (B, L, D), or (B, D) for L = 1; where absent, anything.
            present: prevalent modality -> (B, L) or (B,) bool. A sample without any is finite; without neighbours that
                have some, it means nothing.
        """
        prevalent = mean_present({name: embeddings[name] for name in self.prevalent}, present)
        stand_ins = self._stand_ins(prevalent)
        any_there = torch.stack([present[name] for name in self.prevalent]).any(dim=0)
        fused = self.fusion(
            {**{name: embeddings[name] for name in self.prevalent}, **stand_ins},
            {**{name: present[name] for name in self.prevalent}, **dict.fromkeys(stand_ins, any_there)},
        )
        embedding = centre(prevalent) + fused
        return StudentOutput(embedding=embedding, output=self.head(embedding))

    def _stand_ins(self, prevalent: torch.Tensor) -> dict[str, torch.Tensor]:
        if self.hallucination is not None:
            return self.hallucination(prevalent)
        return {name: torch.zeros_like(prevalent) for name in self.privileged}
