import pytest
import torch

from pipelines.objectives import DistillationBatch, TeacherView, make_objective, select_teacher, task_loss
from pipelines.recipe import DistillationSettings
from pipelines.transport import centroid_loss, similarity_matrix, structural_transport_loss

SETTINGS = DistillationSettings(alpha=0.7, beta=0.4, gamma=0.3, delta=0.0, anchors=5, blur=0.2)


@pytest.fixture
def view():
    generator = torch.Generator().manual_seed(1)
    return TeacherView(
        names=("eda", "joint"),
        embeddings=torch.randn(12, 2, 8, generator=generator),
        outputs=torch.randn(12, 2, 3, generator=generator),
        losses=torch.rand(12, 2, generator=generator),
        present=torch.ones(12, 2, dtype=torch.bool),
    )


@pytest.fixture
def batch(view):
    return DistillationBatch(target=torch.arange(12) % 3, labelled=torch.arange(12) < 8, teachers=view)


def replaced(batch, **changes):
    return DistillationBatch(**{**vars(batch), **changes})


def test_the_total_is_the_weighted_sum_of_its_terms(classes, make_student, batch):
    student = make_student()
    terms = make_objective("mt-pkdot", classes, SETTINGS).loss(student, batch)
    teacher, _ = select_teacher(batch.teachers, "batch")
    expected = {
        "task": task_loss(student.output, batch.target, batch.labelled, classes),
        "transport": structural_transport_loss(student.embedding, teacher, anchors=5, blur=0.2),
        "centroid": centroid_loss(similarity_matrix(student.embedding), similarity_matrix(teacher)),
    }
    for name, value in expected.items():
        torch.testing.assert_close(terms.parts[name], value.detach())
        assert not terms.parts[name].requires_grad
    weighted = 0.7 * expected["task"] + 0.4 * expected["transport"] + 0.3 * expected["centroid"]
    torch.testing.assert_close(terms.total, weighted)


def test_diagnostics_say_who_spoke_and_where_the_plan_lies(classes, make_student, batch):
    diagnostics = (
        make_objective("mt-pkdot", classes, SETTINGS.model_copy(update={"selection": "sample"}))
        .loss(make_student(), batch)
        .diagnostics
    )
    first = (batch.teachers.losses[:, 0] <= batch.teachers.losses[:, 1]).float().mean()
    torch.testing.assert_close(diagnostics["chosen/eda"], first)
    torch.testing.assert_close(diagnostics["chosen/joint"], 1 - first)
    assert 0 < float(diagnostics["diagonal_mass"]) < 1


def test_a_student_that_arranges_samples_as_its_teacher_has_a_diagonal_plan(classes, make_student, batch):
    student = make_student()
    view = TeacherView(
        names=("joint",),
        embeddings=student.embedding.detach().unsqueeze(1) * 3,
        outputs=batch.teachers.outputs[:, :1],
        losses=batch.teachers.losses[:, :1],
        present=batch.teachers.present[:, :1],
    )
    settings = SETTINGS.model_copy(update={"anchors": 12, "blur": 0.05})
    terms = make_objective("mt-pkdot", classes, settings).loss(student, replaced(batch, teachers=view))
    assert float(terms.diagnostics["diagonal_mass"]) > 0.99
    assert abs(float(terms.parts["transport"])) < 1e-5
    assert float(terms.parts["centroid"]) < 1e-5


def test_unlabelled_samples_are_distilled(classes, make_student, batch):
    student = make_student()
    batch = replaced(batch, labelled=torch.zeros(12, dtype=torch.bool))
    make_objective("mt-pkdot", classes, SETTINGS).loss(student, batch).total.backward()
    assert float(student.output.grad.abs().sum()) == 0.0
    assert bool((student.embedding.grad.abs().sum(1) > 0).all())


def test_samples_without_any_teacher_are_not_distilled(classes, make_student, batch, view):
    known = torch.arange(12) != 4
    view.present[~known] = False
    view.embeddings[~known] = torch.nan
    student = make_student()
    terms = make_objective("mt-pkdot", classes, SETTINGS).loss(student, batch)
    terms.total.backward()
    teacher, _ = select_teacher(view, "batch")
    expected = structural_transport_loss(student.embedding[known], teacher[known], anchors=5, blur=0.2)
    torch.testing.assert_close(terms.parts["transport"], expected.detach())
    assert float(student.embedding.grad[4].abs().sum()) == 0.0
    assert float(student.output.grad[4].abs().sum()) > 0.0


@pytest.mark.parametrize("known", [0, 1])
def test_batches_that_hardly_any_teacher_knows_train_on_their_labels(classes, make_student, batch, view, known):
    view.present[known:] = False
    student = make_student()
    terms = make_objective("mt-pkdot", classes, SETTINGS).loss(student, batch)
    terms.total.backward()
    torch.testing.assert_close(terms.total.detach(), 0.7 * terms.parts["task"])
    assert bool(student.output.grad.isfinite().all())
    assert bool(student.embedding.grad.isfinite().all())


def test_teachers_get_no_gradient(classes, make_student, batch, view):
    view.embeddings.requires_grad_()
    make_objective("mt-pkdot", classes, SETTINGS).loss(make_student(), batch).total.backward()
    assert view.embeddings.grad is None


def test_a_batch_without_teachers_is_refused(classes, make_student, batch):
    with pytest.raises(ValueError, match="mt-pkdot needs teachers"):
        make_objective("mt-pkdot", classes, SETTINGS).loss(make_student(), replaced(batch, teachers=None))
