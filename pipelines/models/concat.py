"""The plainest fusion: every embedding side by side, through one hidden layer or none.

- On small tables a regularised network of this shape can beat a transformer.
- With no hidden layer it is linear, and a student on features as they are is a linear model.
- An absent modality is zeros, and beside every embedding stands whether it is there, so that zeros are not a value.
"""

from collections.abc import Mapping

import torch
from torch import nn

from pipelines.models.context import as_context, check_modalities
from pipelines.recipe import ModelSettings


class ConcatFusion(nn.Module):
    """Joint embedding of whichever modalities a sample has.

    Args:
        modalities: names, in an order that the weights belong to.
        settings: embedding, and of the hidden layer width and dropout.
        context: largest number L of windows, odd.
        hidden: whether there is a hidden layer.

    Raises:
        ValueError: no modality, or the same one twice.
    """

    def __init__(
        self, modalities: tuple[str, ...], settings: ModelSettings, *, context: int = 1, hidden: bool = True
    ) -> None:
        super().__init__()
        check_modalities(modalities)
        self.modalities, self.context = modalities, context
        inputs = len(modalities) * context * (settings.embedding + 1)
        inner = settings.width if hidden else inputs
        self.layers = nn.Sequential(
            nn.Dropout(settings.dropout), nn.Linear(inputs, inner), nn.ReLU(), nn.Dropout(settings.dropout)
        ) if hidden else nn.Identity()  # fmt: skip
        self.projection = nn.Linear(inner, settings.embedding)

    def forward(self, embeddings: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Fuse.

        Args:
            embeddings: modality -> (B, L, D), or (B, D) for L = 1; where absent, anything.
            present: modality -> (B, L) bool, or (B,).

        Returns:
            (B, D) of the samples in the middle.

        Raises:
            ValueError: a modality is missing, L is even or beyond `context`, or presence does not fit the embeddings.
        """
        clean, there = as_context(self.modalities, embeddings, present, limit=self.context)
        x = torch.cat([torch.stack(clean, 1), there[..., None].to(clean[0].dtype)], dim=3)
        beyond = (self.context - x.shape[2]) // 2
        x = nn.functional.pad(x, (0, 0, beyond, beyond))
        return self.projection(self.layers(x.flatten(1)))
