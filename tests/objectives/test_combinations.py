"""MT-PKDOT's parts in every combination, against the same loss put together by hand."""

import itertools
import math

import pytest
import torch
from torch.nn import functional

from pipelines.objectives import DistillationBatch, TeacherView, make_objective, task_loss
from pipelines.recipe import DistillationSettings, Task
from pipelines.transport import structural_transport_loss

CLASSES = Task(kind="classes", labels=("BL1", "PA2", "PA4"))
CONTINUOUS = Task(kind="continuous", labels=("valence", "arousal"))
SIZE, WIDTH, NAMES, ANCHORS, BLUR, TEMPERATURE = 8, 5, ("eda", "joint", "ecg"), 4, 0.2, 3.0
COMBINATIONS = [
    DistillationSettings(
        alpha=0.7, beta=0.4, gamma=gamma, delta=delta, anchors=ANCHORS, blur=BLUR, temperature=TEMPERATURE,
        selection=selection, matching=matching,
    )
    for selection, matching, gamma, delta in itertools.product(
        ("batch", "sample", "confidence", "joint"), ("transport", "identity"), (0.0, 0.3), (0.0, 0.5)
    )
]  # fmt: skip


def named(settings):
    return f"{settings.selection}-{settings.matching}-gamma{settings.gamma}-delta{settings.delta}"


class Student:
    def __init__(self, embedding, output):
        self.embedding, self.output = embedding, output


def drawn(task):
    """A student, and a batch of which the last two samples have no label and the first lacks a teacher."""
    generator = torch.Generator().manual_seed(4)

    def noise(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    present = torch.ones(SIZE, 3, dtype=torch.bool)
    present[0, 2] = False
    losses = noise(SIZE, 3).abs()
    losses[-2:] = math.nan
    view = TeacherView(
        names=NAMES,
        embeddings=noise(SIZE, 3, WIDTH),
        outputs=noise(SIZE, 3, task.num_outputs),
        losses=losses,
        present=present,
    )
    target = torch.arange(SIZE) % 3 if task.kind == "classes" else noise(SIZE, 2)
    batch = DistillationBatch(target=target, labelled=torch.arange(SIZE) < SIZE - 2, teachers=view)
    return Student(noise(SIZE, WIDTH).requires_grad_(), noise(SIZE, task.num_outputs).requires_grad_()), batch


def teacher_of(view, selection):
    """One sample after the other. Losses count in single precision, as they are stored."""
    losses = [[float(torch.tensor(x).float()) for x in row] for row in view.losses.tolist()]
    there = view.present.tolist()
    means = []
    for n in range(3):
        known = [losses[i][n] for i in range(SIZE) if there[i][n] and not math.isnan(losses[i][n])]
        means.append(sum(known) / len(known))
    elected, rows = means.index(min(means)), []
    for i in range(SIZE):
        own = means if math.isnan(losses[i][0]) else losses[i]
        weights = [math.exp(-own[n]) * there[i][n] for n in range(3)]
        if selection != "confidence":
            best = min((n for n in range(3) if there[i][n]), key=lambda n: own[n])
            of_batch = elected if there[i][elected] else 1
            spoke = {"batch": of_batch, "sample": best, "joint": 1}[selection]
            weights = [float(n == spoke) for n in range(3)]
        rows.append(sum(weights[n] * view.embeddings[i, n] for n in range(3) if there[i][n]) / sum(weights))
    return torch.stack(rows)


def by_hand(student, batch, task, settings):
    teacher = teacher_of(batch.teachers, settings.selection)
    ours, theirs = (1 + functional.cosine_similarity(z.unsqueeze(1), z, dim=2) for z in (student.embedding, teacher))
    if settings.matching == "transport":
        rows = structural_transport_loss(student.embedding, teacher, anchors=ANCHORS, blur=BLUR)
    else:
        columns = theirs.argsort(dim=1)[:, :ANCHORS]
        rows = ((ours.gather(1, columns) - theirs.gather(1, columns)) ** 2).sum() / (2 * SIZE)
    centroid = (ours.mean(0) - theirs.mean(0)).square().sum().sqrt()
    joint = batch.teachers.outputs[:, 1]
    if task.kind == "classes":
        soft = (joint / TEMPERATURE).softmax(1)
        divergence = (soft * (soft.log() - (student.output / TEMPERATURE).log_softmax(1))).sum(1)
        outputs = TEMPERATURE**2 * divergence.mean()
    else:
        outputs = (student.output - joint).square().mean()
    task_term = task_loss(student.output, batch.target, batch.labelled, task)
    return 0.7 * task_term + 0.4 * rows + settings.gamma * centroid + settings.delta * outputs


@pytest.mark.parametrize("settings", COMBINATIONS, ids=named)
@pytest.mark.parametrize("task", [CLASSES, CONTINUOUS], ids=["classes", "continuous"])
def test_value_and_gradient_of_every_combination(settings, task):
    student, batch = drawn(task)
    inputs = (student.embedding, student.output)
    total = make_objective("mt-pkdot", task, settings).loss(student, batch).total
    expected = by_hand(student, batch, task, settings)
    # Weights of `confidence` are computed in single precision.
    torch.testing.assert_close(total, expected, rtol=1e-5, atol=1e-6)
    gradients, truth = torch.autograd.grad(total, inputs), torch.autograd.grad(expected, inputs)
    for ours, theirs in zip(gradients, truth, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [each for each in COMBINATIONS if each.matching == "identity"], ids=named)
@pytest.mark.parametrize("task", [CLASSES, CONTINUOUS], ids=["classes", "continuous"])
def test_gradient_of_every_combination_by_finite_differences(settings, task):
    student, batch = drawn(task)
    objective = make_objective("mt-pkdot", task, settings)

    def loss(embedding, output):
        return objective.loss(Student(embedding, output), batch).total

    assert torch.autograd.gradcheck(loss, (student.embedding, student.output), atol=1e-6)
