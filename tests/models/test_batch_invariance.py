"""A prediction is the same alone, in a batch, and in a permuted batch: for every network of the package."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import pipelines.models
from pipelines.models import (
    Adapter,
    HallucinationNet,
    Head,
    JointCrossAttention,
    MultimodalTransformer,
    StudentNetwork,
    TemporalHead,
)
from pipelines.models import encoders as enc
from pipelines.models.concat import ConcatFusion
from pipelines.models.encoders.identity import IdentityEncoder
from pipelines.models.forest import Forest, ForestTeacher
from pipelines.models.recording import RecordingNetwork
from pipelines.models.teachers import Aligner, FixedTeacher, FusionTeacher, UnimodalTeacher
from pipelines.recipe import ModelSettings, Task
from pipelines.training.forests import grow_forest

SIZE = 5
SETTINGS = ModelSettings(embedding=32, tokens=3, width=16, depth=2, heads=4, dropout=0.2)
CROSS = SETTINGS.model_copy(update={"fusion": "joint-cross-attention"})
WINDOWS = 5
NAMES = ("faces", "eda", "ecg")
BUILDING_BLOCKS = {"Attention", "BasicBlock", "Block", "DilatedLayer", "JointAttention", "Recursion"}


def _embeddings(*names: str) -> dict[str, torch.Tensor]:
    return {name: torch.randn(SIZE, 32) for name in names}


def _present(*names: str) -> dict[str, torch.Tensor]:
    """Every sample has the first modality; of the others it differs."""
    pattern = torch.rand(SIZE, len(names)) > 0.4
    pattern[:, 0] = True
    return {name: pattern[:, column] for column, name in enumerate(names)}


def _windows(*names: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Embeddings and presence with a context, in which any window of any modality may be absent."""
    embeddings = {name: torch.randn(SIZE, WINDOWS, 32) for name in names}
    return embeddings, {name: torch.rand(SIZE, WINDOWS) > 0.3 for name in names}


def _wave() -> torch.Tensor:
    return torch.stack([torch.randn(SIZE, 176), (torch.rand(SIZE, 176) > 0.2).float()], dim=1)


def _features() -> torch.Tensor:
    x = torch.randn(SIZE, 6)
    x[::2, 1] = float("nan")
    return x


def _student(stands_in: Any, settings: ModelSettings = SETTINGS, context: int = 1) -> StudentNetwork:
    student = StudentNetwork(
        prevalent=("faces",),
        privileged=("eda", "ecg"),
        settings=settings,
        num_outputs=3,
        stands_in=stands_in,
        context=context,
    )
    nn.init.normal_(student.fusion.projection.weight, std=0.1)
    return student


def _student_case(stands_in: str) -> tuple[nn.Module, tuple]:
    return _student(stands_in), (_embeddings("faces"), _present("faces"))


def _joint(settings: ModelSettings = SETTINGS, context: int = 1) -> FusionTeacher:
    return FusionTeacher(modalities=NAMES, settings=settings, num_outputs=3, context=context)


def _forest(features: int) -> Forest:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, features)).astype(np.float32), np.arange(40) % 3
    groups = [f"g{number % 4}" for number in range(40)]
    task = Task(kind="classes", labels=("a", "b", "c"))
    return grow_forest(x, y, groups, task=task, trees=10, seed=(0,))


# Each case gives a network and its inputs, SIZE samples in every tensor.
CASES: dict[str, Callable[[], tuple[nn.Module, tuple]]] = {
    "VideoResNet": lambda: (enc.r3d_18(), (torch.randn(SIZE, 3, 4, 32, 32),)),
    "ResNet": lambda: (enc.resnet_18(1), (torch.randn(SIZE, 1, 33, 40),)),
    "SmallVideoEncoder": lambda: (enc.SmallVideoEncoder(), (torch.randn(SIZE, 3, 6, 64, 64),)),
    "SmallSpectrogramEncoder": lambda: (enc.SmallSpectrogramEncoder(), (torch.randn(SIZE, 1, 33, 20),)),
    "WaveEncoder": lambda: (enc.WaveEncoder(), (_wave(),)),
    "FeatureEncoder": lambda: (enc.FeatureEncoder(in_features=6), (_features(),)),
    "IdentityEncoder": lambda: (IdentityEncoder(in_features=6, embedding=8), (_features(),)),
    "Forest": lambda: (_forest(6), (_features(), torch.tensor([0, 1, -1, 2, 0]))),
    "ForestTeacher": lambda: (
        ForestTeacher(modalities=NAMES, forest=_forest(96), embedding=32, is_classes=True),
        (_embeddings(*NAMES), _present(*NAMES), torch.tensor([0, 1, -1, 2, 0])),
    ),
    "ConcatFusion": lambda: (ConcatFusion(NAMES, SETTINGS), (_embeddings(*NAMES), _present(*NAMES))),
    "ConcatFusion-windows": lambda: (ConcatFusion(NAMES, SETTINGS, context=WINDOWS), _windows(*NAMES)),
    "Head": lambda: (Head(32, 3, 0.2), (torch.randn(SIZE, 32),)),
    "Adapter": lambda: (Adapter(32, 16, 0.2), (torch.randn(SIZE, 32),)),
    "HallucinationNet": lambda: (
        HallucinationNet(privileged=("eda", "ecg"), prevalent=32, embedding=32),
        (torch.randn(SIZE, 32),),
    ),
    "MultimodalTransformer": lambda: (
        MultimodalTransformer(NAMES, SETTINGS),
        (_embeddings(*NAMES), _present(*NAMES)),
    ),
    "MultimodalTransformer-windows": lambda: (
        MultimodalTransformer(NAMES, SETTINGS, context=WINDOWS),
        _windows(*NAMES),
    ),
    "JointCrossAttention": lambda: (JointCrossAttention(NAMES, CROSS), (_embeddings(*NAMES), _present(*NAMES))),
    "JointCrossAttention-windows": lambda: (
        JointCrossAttention(NAMES, CROSS, context=WINDOWS),
        _windows(*NAMES),
    ),
    "TemporalHead": lambda: (
        TemporalHead(width=16, context=WINDOWS, dropout=0.2),
        (torch.randn(SIZE, WINDOWS, 16), torch.rand(SIZE, WINDOWS) > 0.3),
    ),
    "StudentNetwork": lambda: _student_case("hallucination"),
    "StudentNetwork-zeros": lambda: _student_case("zeros"),
    "StudentNetwork-nothing": lambda: _student_case("nothing"),
    "StudentNetwork-windows": lambda: (_student("hallucination", CROSS, WINDOWS), _windows("faces")),
    "UnimodalTeacher": lambda: (
        UnimodalTeacher(encoder=enc.WaveEncoder(embedding=32), embedding=32, num_outputs=3, dropout=0.2),
        (_wave(),),
    ),
    "FusionTeacher": lambda: (_joint(), (_embeddings(*NAMES), _present(*NAMES))),
    "Aligner": lambda: (
        Aligner(teachers=NAMES, joint=_joint(), settings=SETTINGS),
        (_embeddings(*NAMES), _present(*NAMES), _embeddings(*NAMES)),
    ),
    "FixedTeacher": lambda: (FixedTeacher(column="faces", num_outputs=3), (_embeddings("faces"), _present("faces"))),
    # Without a context: with one, its samples are the windows of one recording, and are meant to see each other.
    "RecordingNetwork": lambda: (
        RecordingNetwork(encoder=enc.SmallVideoEncoder(embedding=32), student=_student("hallucination"), context=1),
        (torch.randn(SIZE, 3, 6, 64, 64), torch.ones(SIZE, dtype=torch.bool)),
    ),
    "FusionTeacher-windows": lambda: (_joint(CROSS, WINDOWS), _windows(*NAMES)),
    "Aligner-windows": lambda: (
        Aligner(teachers=NAMES, joint=_joint(CROSS, WINDOWS), settings=CROSS),
        (*_windows(*NAMES), _embeddings(*NAMES)),
    ),
}


def _networks() -> set[str]:
    """Every nn.Module that a module of the package defines, less what is abstract and the building blocks."""
    found = set()
    for info in pkgutil.walk_packages(pipelines.models.__path__, "pipelines.models."):
        for name, member in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
            if issubclass(member, nn.Module) and member.__module__ == info.name and not inspect.isabstract(member):
                found.add(name)
    return found - BUILDING_BLOCKS


def test_every_network_has_a_case():
    assert {name.split("-")[0] for name in CASES} == _networks()


def _take(inputs: Any, rows: torch.Tensor) -> Any:
    if isinstance(inputs, torch.Tensor):
        return inputs[rows]
    if isinstance(inputs, dict):
        return {name: value[rows] for name, value in inputs.items()}
    return tuple(_take(part, rows) for part in inputs)


def _flat(outputs: Any) -> list[torch.Tensor]:
    """All tensors in a result: a tensor, a dict, a tuple or a record of them."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, dict):
        return [tensor for value in outputs.values() for tensor in _flat(value)]
    parts = outputs if isinstance(outputs, tuple) else vars(outputs).values()
    return [tensor for part in parts for tensor in _flat(part)]


@torch.no_grad()
@pytest.mark.parametrize("name", CASES)
def test_a_prediction_does_not_depend_on_its_neighbours(name):
    network, inputs = CASES[name]()
    network.eval()
    together = _flat(network(*inputs))
    order = torch.tensor([3, 0, 4, 2, 1])
    permuted = _flat(network(*_take(inputs, order)))
    for whole, shuffled in zip(together, permuted, strict=True):
        assert whole.shape[0] == SIZE
        assert whole.isfinite().all()
        torch.testing.assert_close(shuffled, whole[order], atol=1e-5, rtol=1e-5)
        assert not torch.allclose(whole[0], whole[1], atol=1e-3), "a constant network would pass for nothing"
    for row in range(SIZE):
        alone = _flat(network(*_take(inputs, torch.tensor([row]))))
        for whole, single in zip(together, alone, strict=True):
            torch.testing.assert_close(single, whole[row : row + 1], atol=1e-5, rtol=1e-5)
