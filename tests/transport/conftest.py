"""Clouds as training meets them: rows of similarity matrices, from noise to well separated classes."""

from collections.abc import Callable

import pytest
import torch
from torch.nn.functional import normalize

Clouds = Callable[..., tuple[torch.Tensor, torch.Tensor]]


def rows(size: int, anchors: int, structure: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A student's and a teacher's anchored rows, (size, anchors) each; with more `structure`, classes are clearer."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(0, 2, (size,), generator=generator)
    centres, factors = torch.randn(2, 64, generator=generator), torch.randn(4, 64, generator=generator)

    def embed(strength: float) -> torch.Tensor:
        latent = torch.randn(size, 4, generator=generator) @ factors
        noise = torch.randn(size, 64, generator=generator)
        return normalize(structure * (strength * centres[label] + 0.5 * latent) + noise, dim=1)

    student, teacher = (z @ z.T + 1 for z in (embed(0.5), embed(1.5)))
    columns = teacher.argsort(dim=1, stable=True)[:, :anchors]
    return student.gather(1, columns), teacher.gather(1, columns)


@pytest.fixture
def make_rows() -> Clouds:
    return rows
