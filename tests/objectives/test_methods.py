"""What holds for every method: adding one is a file, a line in the registry and a row in `ROWS`.

All inputs come from a formula, so that pinned values depend on no random number generator.
"""

import math
from dataclasses import dataclass, replace

import pytest
import torch

from pipelines.errors import SettingsError
from pipelines.objectives import METHODS, DistillationBatch, TeacherView, make_objective, task_loss
from pipelines.recipe import DistillationSettings, Task, TermWeights

CLASSES = Task(kind="classes", labels=("BL1", "PA2", "PA4"))
CONTINUOUS = Task(kind="continuous", labels=("valence", "arousal"))
TASKS = pytest.mark.parametrize("task", [CLASSES, CONTINUOUS], ids=["classes", "continuous"])
SETTINGS = DistillationSettings(anchors=4, blur=0.2, beta=0.2, gamma=0.2, delta=0.0, weights=TermWeights(kd=0.8))
SIZE, WIDTH, NAMES = 10, 5, ("eda", "joint", "ecg")


@dataclass(frozen=True)
class Row:
    """A method's total loss for each kind of target; what it compares by default (`outputs`, `embeddings` one by one,
    or their `structure` within the batch); and whether it listens to other teachers than the joint one."""

    classes: float
    continuous: float
    compares: str = ""
    chooses: bool = False


ROWS = {
    "none": Row(1.413530, 0.396199),
    "none-matched": Row(1.413530, 0.396199),
    "none-hallucinated": Row(1.413530, 0.396199),
    "self-kd": Row(1.393804, 0.579939, "structure", chooses=True),
    "kd": Row(1.663141, 2.380619, "outputs"),
    "fitnet": Row(2.179740, 1.365874, "embeddings"),
    "sp": Row(227.536439, 226.722574, "structure"),
    "rkd": Row(4.994152, 4.180286, "structure"),
    "pkdot": Row(1.211133, 0.397267, "structure"),
    "mt-pkdot": Row(1.393804, 0.579939, "structure", chooses=True),
    "mt-pkdot-published": Row(1.505638, 0.691772, "structure", chooses=True),
}

DISTILLED = [name for name, method in METHODS.items() if method.needs_teachers]
VARIANTS = {
    **{name: (name, {}) for name in DISTILLED},
    "pkdot with outputs": ("pkdot", {"delta": 0.5}),
    "mt-pkdot with outputs": ("mt-pkdot", {"delta": 0.5, "selection": "sample"}),
    "mt-pkdot by identity": ("mt-pkdot", {"matching": "identity"}),
}


class Student:
    def __init__(self, embedding, output):
        self.embedding, self.output = embedding, output


def waves(*shape, phase=0.0):
    """Values between -1 and 1 that look unordered."""
    steps = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(steps * 1.7 + steps.square() * 0.13 + phase).view(shape)


def student_of(task, dtype=torch.float32):
    embedding, output = waves(SIZE, WIDTH, phase=0.4), waves(SIZE, task.num_outputs, phase=2.0)
    return Student(embedding.to(dtype).requires_grad_(), output.to(dtype).requires_grad_())


def batch_of(task, dtype=torch.float32):
    """Seven labelled samples of ten, three teachers that know all of them."""
    target = torch.arange(SIZE) % 3 if task.kind == "classes" else waves(SIZE, 2, phase=3.0).to(dtype)
    view = TeacherView(
        names=NAMES,
        embeddings=waves(SIZE, len(NAMES), WIDTH, phase=1.0).to(dtype),
        outputs=2 * waves(SIZE, len(NAMES), task.num_outputs, phase=1.5).to(dtype),
        losses=1 + waves(SIZE, len(NAMES), phase=2.5).to(dtype),
        present=torch.ones(SIZE, len(NAMES), dtype=torch.bool),
    )
    return DistillationBatch(target=target, labelled=torch.arange(SIZE) < 7, teachers=view)


def objective_of(variant, task):
    method, options = VARIANTS[variant]
    return make_objective(method, task, SETTINGS.model_copy(update=options))


def view_of(batch):
    assert batch.teachers is not None
    return batch.teachers


def chosen(batch, rows):
    """The batch of some samples, in the order given."""
    view = view_of(batch)
    parts = {name: getattr(view, name)[rows] for name in ("embeddings", "outputs", "losses", "present")}
    return DistillationBatch(
        target=batch.target[rows], labelled=batch.labelled[rows], teachers=TeacherView(names=view.names, **parts)
    )


def hidden(batch, absent, teachers: object = slice(None)):
    """The batch with teachers absent for some samples, and NaN in their place."""
    view = view_of(batch)
    present, embeddings, outputs = view.present.clone(), view.embeddings.clone(), view.outputs.clone()
    for tensor, value in ((present, False), (embeddings, math.nan), (outputs, math.nan)):
        for row in absent:
            tensor[row, teachers] = value
    return replace(batch, teachers=replace(view, present=present, embeddings=embeddings, outputs=outputs))


def gradients(terms, student):
    """Of the embedding and the output; zero where a method does not use one."""
    return torch.autograd.grad(terms.total, (student.embedding, student.output), materialize_grads=True)


def distilled_part(terms, alpha=SETTINGS.alpha):
    return terms.total - alpha * terms.parts["task"]


def comparing(*what):
    return [name for name, row in ROWS.items() if row.compares in what]


def test_every_method_has_a_row():
    assert set(ROWS) == set(METHODS)
    assert {name for name, row in ROWS.items() if row.compares} == set(DISTILLED)


@TASKS
@pytest.mark.parametrize("method", METHODS)
def test_pinned_losses(method, task):
    expected = getattr(ROWS[method], task.kind)
    terms = make_objective(method, task, SETTINGS).loss(student_of(task), batch_of(task))
    assert terms.total.dtype == torch.float32
    assert float(terms.total.detach()) == pytest.approx(expected, rel=2e-5)


@TASKS
@pytest.mark.parametrize("method", METHODS)
def test_parts_are_detached_and_the_task_is_the_labelled_samples(method, task):
    student, batch = student_of(task), batch_of(task)
    terms = make_objective(method, task, SETTINGS).loss(student, batch)
    assert not any(value.requires_grad for value in (*terms.parts.values(), *terms.diagnostics.values()))
    torch.testing.assert_close(
        terms.parts["task"], task_loss(student.output, batch.target, batch.labelled, task).detach()
    )


@TASKS
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_order_of_samples_does_not_matter(variant, task):
    objective, batch = objective_of(variant, task), batch_of(task)
    student = student_of(task)
    rows = torch.arange(SIZE) * 7 % SIZE
    there = objective.loss(Student(student.embedding[rows], student.output[rows]), chosen(batch, rows))
    torch.testing.assert_close(there.total, objective.loss(student, batch).total, rtol=1e-4, atol=1e-5)


@TASKS
@pytest.mark.parametrize("variant", VARIANTS)
def test_samples_that_no_teacher_knows_leave_the_distillation(variant, task):
    objective, batch, student = objective_of(variant, task), batch_of(task), student_of(task)
    known = torch.tensor([0, 1, 2, 4, 5, 7, 8, 9])
    terms = objective.loss(student, hidden(batch, (3, 6)))
    fewer = objective.loss(Student(student.embedding[known], student.output[known]), chosen(batch, known))
    torch.testing.assert_close(distilled_part(terms), distilled_part(fewer), rtol=1e-4, atol=1e-5)
    of_embedding, of_output = gradients(terms, student)
    assert bool(of_embedding.isfinite().all())
    assert float(of_embedding[[3, 6]].abs().sum()) == 0.0
    assert bool((of_output[:7].abs().sum(1) > 0).all())


@TASKS
@pytest.mark.parametrize("method", [name for name in DISTILLED if not ROWS[name].chooses])
def test_only_what_the_joint_teacher_says_counts(method, task):
    objective, batch, student = objective_of(method, task), batch_of(task), student_of(task)
    expected = objective.loss(student, batch).total
    torch.testing.assert_close(objective.loss(student, hidden(batch, range(SIZE), [0, 2])).total, expected)
    lacking = objective.loss(student, hidden(batch, (3, 6), [1]))
    torch.testing.assert_close(distilled_part(lacking), distilled_part(objective.loss(student, hidden(batch, (3, 6)))))
    assert float(lacking.total.detach()) != pytest.approx(float(expected.detach()), rel=1e-6)


@TASKS
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_that_no_teacher_knows_trains_on_its_labels(variant, task):
    student = student_of(task)
    terms = objective_of(variant, task).loss(student, hidden(batch_of(task), range(SIZE)))
    of_embedding, of_output = gradients(terms, student)
    assert float(terms.total.detach()) == float(SETTINGS.alpha * terms.parts["task"])
    assert float(of_embedding.abs().sum()) == 0.0
    assert bool(of_output.isfinite().all())
    assert all(float(value) == 0.0 for name, value in terms.parts.items() if name != "task")


@TASKS
@pytest.mark.parametrize("variant", VARIANTS)
def test_one_known_sample_has_finite_gradients(variant, task):
    student = student_of(task)
    terms = objective_of(variant, task).loss(student, hidden(batch_of(task), range(1, SIZE)))
    assert all(bool(gradient.isfinite().all()) for gradient in gradients(terms, student))


@TASKS
@pytest.mark.parametrize("variant", VARIANTS)
def test_unlabelled_samples_are_distilled(variant, task):
    student, batch = student_of(task), batch_of(task)
    batch = replace(batch, labelled=torch.zeros(SIZE, dtype=torch.bool))
    moved, told = (
        each.abs().sum(1) > 0 for each in gradients(objective_of(variant, task).loss(student, batch), student)
    )
    compared = {ROWS[VARIANTS[variant][0]].compares, *(("outputs",) if "outputs" in variant else ())}
    assert bool(moved.all()) if compared != {"outputs"} else not bool(moved.any())
    assert bool(told.all()) if "outputs" in compared else not bool(told.any())


@TASKS
@pytest.mark.parametrize("variant", VARIANTS)
def test_duplicates_and_zeros_have_finite_gradients(variant, task):
    student, batch = student_of(task), batch_of(task)
    embedding = student.embedding.detach().clone()
    embedding[:4], embedding[4:6] = embedding[0].clone(), 0.0
    student = Student(embedding.requires_grad_(), student.output)
    terms = objective_of(variant, task).loss(student, batch)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients(terms, student))


@TASKS
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_by_finite_differences(variant, task):
    double = torch.float64
    objective, batch, student = objective_of(variant, task), batch_of(task, double), student_of(task, double)
    if "transport" in objective.loss(student, batch).parts:
        # The transport stops where annealing ends and has the converged plan's gradient: tests/transport judges it.
        objective.settings = objective.settings.model_copy(update={"beta": 0.0})
    inputs = (student.embedding, student.output)
    assert torch.autograd.gradcheck(lambda e, o: objective.loss(Student(e, o), batch).total, inputs, atol=1e-6)


@pytest.mark.parametrize("method", comparing("structure"))
def test_a_rotated_and_scaled_teacher_is_matched_already(method):
    batch, student = batch_of(CLASSES), student_of(CLASSES)
    rotation = torch.linalg.qr(waves(WIDTH, WIDTH, phase=0.2)).Q.float()
    turned = 3 * student.embedding.detach() @ rotation
    view = replace(view_of(batch), embeddings=turned.unsqueeze(1).repeat(1, len(NAMES), 1))
    terms = objective_of(method, CLASSES).loss(student, replace(batch, teachers=view))
    assert all(abs(float(value)) < 1e-5 for name, value in terms.parts.items() if name != "task")


@TASKS
@pytest.mark.parametrize("method", comparing("outputs", "embeddings"))
def test_a_student_that_says_the_same_is_matched_already(method, task):
    batch, student = batch_of(task), student_of(task)
    view = replace(
        view_of(batch),
        embeddings=3 * student.embedding.detach().unsqueeze(1).repeat(1, len(NAMES), 1),
        outputs=student.output.detach().unsqueeze(1).repeat(1, len(NAMES), 1),
    )
    terms = objective_of(method, task).loss(student, replace(batch, teachers=view))
    assert abs(float(distilled_part(terms).detach())) < 1e-6


@pytest.mark.parametrize("variant", VARIANTS)
def test_teachers_get_no_gradient(variant):
    batch = batch_of(CLASSES)
    view_of(batch).embeddings.requires_grad_()
    view_of(batch).outputs.requires_grad_()
    objective_of(variant, CLASSES).loss(student_of(CLASSES), batch).total.backward()
    assert view_of(batch).embeddings.grad is None
    assert view_of(batch).outputs.grad is None


@pytest.mark.parametrize("variant", VARIANTS)
def test_half_precision_is_widened(variant):
    batch, student = batch_of(CLASSES), student_of(CLASSES, torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = objective_of(variant, CLASSES).loss(student, batch)
    expected = objective_of(variant, CLASSES).loss(Student(student.embedding.float(), student.output.float()), batch)
    torch.testing.assert_close(distilled_part(terms).float(), distilled_part(expected), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", DISTILLED)
def test_a_batch_without_teachers_is_refused(method):
    with pytest.raises(ValueError, match=f"^{method} needs teachers, and the batch has none"):
        objective_of(method, CLASSES).loss(student_of(CLASSES), replace(batch_of(CLASSES), teachers=None))


@pytest.mark.parametrize(
    "variant", [name for name, (of, _) in VARIANTS.items() if "out" in name or not ROWS[of].chooses]
)
def test_a_joint_teacher_is_needed(variant):
    batch = batch_of(CLASSES)
    view = replace(view_of(batch), names=("eda", "emg", "ecg"))
    with pytest.raises(SettingsError, match="needs a teacher of all modalities; there are eda, emg, ecg"):
        objective_of(variant, CLASSES).loss(student_of(CLASSES), replace(batch, teachers=view))
