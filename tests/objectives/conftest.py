"""Tasks, and teachers whose embeddings say who they are."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from pipelines.objectives import DistillationBatch, LossTerms, TeacherView, make_objective
from pipelines.recipe import DistillationSettings, Task


@pytest.fixture(autouse=True)
def _one_thread():
    """Tensors are tiny here: several threads only wait for each other, and for a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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


@pytest.fixture
def compare() -> Callable[..., LossTerms]:
    """What a method says of a student and a joint teacher with given embeddings or outputs, without labels."""

    def run(method: str, task: Task, student, teacher, *, outputs: bool = False, **settings) -> LossTerms:
        student, teacher = (torch.as_tensor(each, dtype=torch.float32) for each in (student, teacher))
        size, rest = len(student), torch.zeros(len(student), task.num_outputs)
        view = TeacherView(
            names=("joint",),
            embeddings=torch.zeros(size, 1, 2) if outputs else teacher.unsqueeze(1),
            outputs=(teacher if outputs else rest).unsqueeze(1),
            losses=torch.zeros(size, 1),
            present=torch.ones(size, 1, dtype=torch.bool),
        )
        target = torch.zeros(size, dtype=torch.long) if task.kind == "classes" else rest
        batch = DistillationBatch(target=target, labelled=torch.zeros(size, dtype=torch.bool), teachers=view)
        asked = Student(torch.zeros(size, 2), student) if outputs else Student(student, rest)
        return make_objective(method, task, DistillationSettings(**settings)).loss(asked, batch)

    return run
