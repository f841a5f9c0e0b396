"""Pooling that keeps a coarse position: where in the face, when in the clip, at which frequency.

Global averages lose what small networks need most. Bins follow the rule of adaptive pooling, so any input size works,
but are plain means over slices, whose gradient is deterministic on every device.
"""

import torch


def bin_means(x: torch.Tensor, bins: int, *, dim: int) -> torch.Tensor:
    """Means over `bins` equal parts of one dimension; parts overlap where the size is no multiple of `bins`.

    Args:
        x: any shape, at least one element along `dim`.
        bins: parts; with fewer elements than parts, elements repeat.
        dim: dimension that shrinks to `bins`.
    """
    size = x.shape[dim]
    edges = [(part * size // bins, -(-(part + 1) * size // bins)) for part in range(bins)]
    return torch.stack([x.narrow(dim, start, stop - start).mean(dim) for start, stop in edges], dim=dim)


def standard_deviation(mean_square: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """sqrt(E[x^2] - E[x]^2), population; its gradient is finite at zero variance."""
    return ((mean_square - mean * mean).clamp_min(0) + 1e-5).sqrt()
