"""Tasks, and teachers whose embeddings say who they are."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from pipelines.objectives import TeacherView
from pipelines.recipe import Task


@dataclass(frozen=True)
class Student:
    embedding: torch.Tensor
    output: torch.Tensor


@pytest.fixture
def classes() -> Task:
    return Task(kind="classes", labels=("BL1", "PA2", "PA4"))


@pytest.fixture
def continuous() -> Task:
    return Task(kind="continuous", labels=("valence", "arousal"))


@pytest.fixture
def make_view() -> Callable[..., TeacherView]:
    """Teacher n says n + 1 in both dimensions, of every sample."""

    def make(losses: list[list[float]], absent=(), names=("eda", "ecg", "joint")) -> TeacherView:
        table = torch.tensor(losses)
        present = torch.ones_like(table, dtype=torch.bool)
        embeddings = torch.arange(1.0, len(names) + 1).view(1, -1, 1).repeat(len(table), 1, 2)
        for sample, teacher in absent:
            present[sample, teacher] = False
            embeddings[sample, teacher] = torch.nan
        return TeacherView(
            names=names, embeddings=embeddings, outputs=torch.zeros(*table.shape, 3), losses=table, present=present
        )

    return make


@pytest.fixture
def make_student() -> Callable[..., Student]:
    def make(size: int = 12, width: int = 6, outputs: int = 3) -> Student:
        generator = torch.Generator().manual_seed(size)
        return Student(
            torch.randn(size, width, generator=generator).requires_grad_(),
            torch.randn(size, outputs, generator=generator).requires_grad_(),
        )

    return make
