"""What torchvision's networks hold and answer, for weights and an input that a formula gives."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from pipelines.recipe import ModelSettings


@pytest.fixture(autouse=True)
def _seed_and_one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def oracle() -> Callable[[str], dict]:
    """Name -> torchvision 0.28's state-dict shapes, input shape, first eight outputs and their norm in float64."""
    content = json.loads((Path(__file__).parent / "torchvision_models.json").read_text())
    return content.__getitem__


@pytest.fixture
def fill() -> Callable[[nn.Module], nn.Module]:
    """Fills a network with the oracle's weights, in float64 and evaluation mode."""

    def fill(model: nn.Module) -> nn.Module:
        model = model.double().eval()
        for i, (key, value) in enumerate(sorted(model.state_dict().items())):
            if not value.dtype.is_floating_point:
                continue
            n = value.numel()
            x = torch.sin(torch.arange(n, dtype=torch.float64) * (0.7 + 0.01 * (i % 13)) + i)
            if key.endswith("running_var"):
                x = 1 + 0.2 * x
            elif key.endswith(("running_mean", "bias")):
                x = 0.05 * x
            elif value.dim() == 1:
                x = 1 + 0.1 * x
            else:
                x = x * (2.0 / (n / value.shape[0])) ** 0.5
            value.copy_(x.reshape(value.shape).float())
        return model

    return fill


@pytest.fixture
def sine_input() -> Callable[[list[int]], torch.Tensor]:
    """The oracle's input of a shape."""

    def make(shape: list[int]) -> torch.Tensor:
        return torch.sin(torch.arange(torch.Size(shape).numel(), dtype=torch.float64) * 0.013).reshape(shape)

    return make


@pytest.fixture
def small() -> ModelSettings:
    """A transformer small enough for many tests."""
    return ModelSettings(embedding=32, tokens=3, width=16, depth=2, heads=4, dropout=0.2)
