"""Features as they are: an embedding that a linear head turns into a linear model.

Tables of a few hundred rows are often better served by what fuses them, a forest or a regularised network, than by an
encoder that has to be trained on the same rows first; and a student on such an embedding trains on the features
themselves.
"""

import torch
from torch import nn

from pipelines.errors import SettingsError


class IdentityEncoder(nn.Module):
    """Z-scored features, zeros behind them; no weight.

    Args:
        in_features: features K.
        embedding: width D >= K of the result.

    Raises:
        SettingsError: D < K.
    """

    def __init__(self, *, in_features: int, embedding: int) -> None:
        super().__init__()
        if embedding < in_features:
            raise SettingsError(
                f"model.embedding = {embedding} cannot hold {in_features} features as they are: use at least that "
                "many, or the architecture features-mlp"
            )
        self.padding = embedding - in_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Z-scored features (B, K), NaN or infinite where missing -> (B, D); a missing one is its training mean."""
        return nn.functional.pad(torch.where(torch.isfinite(x), x, 0), (0, self.padding))
