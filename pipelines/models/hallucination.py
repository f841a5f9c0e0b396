"""The hallucination net (T-Net of PKDOT, arXiv 2401.15489): prevalent embedding -> privileged embeddings.

One encoder for all privileged modalities and a decoder for each: what the face tells about one signal helps with the
others, and a modality that is missing from a clip still trains the encoder through the rest.
"""

import torch
from torch import nn


class HallucinationNet(nn.Module):
    """Autoencoder-shaped MLP: D -> D/2 -> D/4, then D/4 -> D/2 -> D for each privileged modality.

    Args:
        privileged: modalities to predict.
        prevalent: width of the input; with several prevalent modalities, of the mean over the present ones.
        embedding: width D of every prediction.
        dropout: on the hidden layers of half the width.

    Raises:
        ValueError: no privileged modality.
    """

    def __init__(
        self, *, privileged: tuple[str, ...], prevalent: int = 512, embedding: int = 512, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if not privileged:
            raise ValueError("a hallucination net needs at least one privileged modality to predict")
        self.privileged = privileged
        half, quarter = embedding // 2, embedding // 4
        self.encoder = nn.Sequential(
            nn.Linear(prevalent, half), nn.GELU(), nn.Dropout(dropout), nn.Linear(half, quarter), nn.GELU()
        )
        self.decoders = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(quarter, half), nn.GELU(), nn.Dropout(dropout), nn.Linear(half, embedding)
                )
                for name in privileged
            }
        )

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Prevalent embedding (B, prevalent) -> modality -> (B, D)."""
        code = self.encoder(x)
        return {name: decoder(code) for name, decoder in self.decoders.items()}
