"""From an embedding to a prediction.

Linear on purpose: what is worth knowing must be in the embedding, because that is what gets aligned and distilled.
"""

import torch
from torch import nn


class Head(nn.Module):
    """Dropout and one linear layer.

    Args:
        embedding: width D of the input.
        num_outputs: classes (logits), or continuous dimensions.
        dropout: on the embedding.
    """

    def __init__(self, embedding: int, num_outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(embedding, num_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, D) -> (B, num_outputs)."""
        return self.linear(self.dropout(x))
