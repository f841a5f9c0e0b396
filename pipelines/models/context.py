"""A sample among its neighbours: what the fused networks share when they see several windows of a trial.

- A context is an odd number L of windows at equal distances in time with the sample in the middle: embeddings
  (B, L, D), presence (B, L). A sample alone is (B, D) and (B,), and means the same as L = 1.
- A window beyond the edge of a trial and a window that lost the modality are one thing: absent.
- What an absent window holds, NaN included, is replaced before the first product: 0 * NaN is NaN, in the gradient too.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import nn


def centre(x: torch.Tensor) -> torch.Tensor:
    """The samples themselves, out of their context.

    Args:
        x: embeddings (B, D) or (B, L, D); presence, told by its bool, (B,) or (B, L).

    Returns:
        (B, D); for presence (B,).
    """
    alone = 1 if x.dtype == torch.bool else 2
    return x if x.dim() == alone else x[:, x.shape[1] // 2]


def as_context(
    modalities: tuple[str, ...],
    embeddings: Mapping[str, torch.Tensor],
    present: Mapping[str, torch.Tensor],
    *,
    limit: int,
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Inputs of a fused network in one shape, cleaned of what absent windows hold.

    Args:
        modalities: names, in the order of the result.
        embeddings: modality -> (B, D) or (B, L, D); where absent, anything.
        present: modality -> (B,) or (B, L) bool.
        limit: largest L that the network was built for.

    Returns:
        One (B, L, D) a modality, zero where absent, and presence (B, M, L) bool.

    Raises:
        ValueError: a modality is missing, L is even or beyond the limit, or presence does not fit the embeddings.
    """
    missing = [name for name in modalities if name not in embeddings or name not in present]
    if missing:
        raise ValueError(f"no embedding or no presence given for {missing}, expected {list(modalities)}")
    clean, there = [], []
    for name in modalities:
        x, mask = embeddings[name], present[name]
        if mask.shape != x.shape[:-1]:
            raise ValueError(f"presence {tuple(mask.shape)} of {name} does not fit embeddings {tuple(x.shape)}")
        if x.dim() == 2:
            x, mask = x.unsqueeze(1), mask.unsqueeze(1)
        if x.shape[1] % 2 == 0 or x.shape[1] > limit:
            raise ValueError(f"{x.shape[1]} windows of {name}: expected an odd number, at most {limit}")
        clean.append(torch.where(mask[..., None], x, 0))
        there.append(mask)
    return clean, torch.stack(there, dim=1)


class Fusion(nn.Module, ABC):
    """Joint embedding of a sample from whichever modalities its context has; its last layer is `projection`.

    Args:
        modalities: names, in an order that the weights belong to.
        context: largest number L of windows, odd.

    Raises:
        ValueError: no modality, or the same one twice.
    """

    projection: nn.Linear

    def __init__(self, modalities: tuple[str, ...], *, context: int) -> None:
        super().__init__()
        if not modalities or len(set(modalities)) != len(modalities):
            raise ValueError(f"modalities must be distinct and at least one, not {modalities}")
        self.modalities, self.context = modalities, context

    @abstractmethod
    def forward(self, embeddings: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Fuse.

        Args:
            embeddings: modality -> (B, L, D), or (B, D) for L = 1; where absent, anything.
            present: modality -> (B, L) bool, or (B,).

        Returns:
            (B, D) of the samples in the middle; one that is absent itself is told from its neighbours. Every sample
            without any modality at any window gets the same.

        Raises:
            ValueError: a modality is missing, L is even or beyond `context`, or presence does not fit the embeddings.
        """


def gated_mean(x: torch.Tensor, gate: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Mean over the modalities that are there, weighted by their gates.

    Args:
        x: (B, M, N, W), finite also where absent.
        gate: (B, M, N, 1) logits.
        there: (B, M, N) or (B, M, 1) bool.

    Returns:
        (B, N, W), zero where nothing is there.
    """
    gates = torch.sigmoid(gate) * there[..., None]
    return (gates * x).sum(dim=1) / gates.sum(dim=1).clamp_min(1e-6)
