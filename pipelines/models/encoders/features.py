"""An MLP on hand-made features, some of which may be missing.

A feature that could not be computed is NaN. After z-scoring, zero is the training mean: that is what replaces it, and
an indicator beside every feature tells the network that it did.
"""

import torch
from torch import nn


class FeatureEncoder(nn.Module):
    """Two hidden layers on z-scored features and their indicators.

    Args:
        in_features: features K.
        embedding: width D of the result.
        dropout: on both hidden layers.
    """

    def __init__(self, *, in_features: int, embedding: int = 512, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * in_features, 128),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(128, 128),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(128, embedding),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Z-scored features (B, K), NaN or infinite where missing -> (B, D)."""
        missing = ~torch.isfinite(x)
        return self.layers(torch.cat([torch.where(missing, 0, x), missing.to(x.dtype)], dim=1))
