"""The plainest fusion: every embedding side by side, through one hidden layer or none.

- On small tables a regularised network of this shape can beat a transformer.
- With no hidden layer it is linear, and a student on features as they are is a linear model.
- An absent modality is zeros, and beside every embedding stands whether it is there, so that zeros are not a value.
"""

from collections.abc import Mapping

import torch
from torch import nn

from pipelines.models.context import Fusion, as_context
from pipelines.recipe import ModelSettings


class ConcatFusion(Fusion):
    """All windows of all modalities in one vector.

    Args:
        modalities: see Fusion.
        settings: embedding, and of the hidden layer width and dropout.
        context: see Fusion.
        hidden: whether there is a hidden layer.
    """

    def __init__(
        self, modalities: tuple[str, ...], settings: ModelSettings, *, context: int = 1, hidden: bool = True
    ) -> None:
        super().__init__(modalities, context=context)
        inputs = len(modalities) * context * (settings.embedding + 1)
        inner = settings.width if hidden else inputs
        self.layers = nn.Sequential(
            nn.Dropout(settings.dropout), nn.Linear(inputs, inner), nn.ReLU(), nn.Dropout(settings.dropout)
        ) if hidden else nn.Identity()  # fmt: skip
        self.projection = nn.Linear(inner, settings.embedding)

    def forward(self, embeddings: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """See Fusion."""
        clean, there = as_context(self.modalities, embeddings, present, limit=self.context)
        x = torch.cat([torch.stack(clean, 1), there[..., None].to(clean[0].dtype)], dim=3)
        beyond = (self.context - x.shape[2]) // 2
        x = nn.functional.pad(x, (0, 0, beyond, beyond))
        return self.projection(self.layers(x.flatten(1)))
