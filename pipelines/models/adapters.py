"""From one teacher's embedding space to the joint one (METHOD of MT-PKDOT, arXiv 2408.09035: alignment).

A bottleneck, so that what passes is what the spaces share; no shortcut, because they share no axes to begin with.
"""

import torch
from torch import nn


class Adapter(nn.Module):
    """D -> bottleneck -> D.

    Args:
        embedding: width D on both sides.
        bottleneck: width between.
        dropout: on the bottleneck.
    """

    def __init__(self, embedding: int = 512, bottleneck: int = 256, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(embedding, bottleneck), nn.GELU(), nn.Dropout(dropout), nn.Linear(bottleneck, embedding)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, D) -> (B, D)."""
        return self.layers(x)
