from dataclasses import replace

import pytest
import torch

from pipelines.objectives import DistillationBatch, TeacherView, make_objective
from pipelines.recipe import DistillationSettings
from pipelines.transport import similarity_matrix

SETTINGS = DistillationSettings(anchors=5, blur=0.2, beta=0.2, delta=0.0)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    view = TeacherView(
        names=("eda", "joint"),
        embeddings=torch.randn(12, 2, 8, generator=generator),
        outputs=torch.randn(12, 2, 3, generator=generator),
        losses=torch.rand(12, 2, generator=generator),
        present=torch.ones(12, 2, dtype=torch.bool),
    )
    return DistillationBatch(target=torch.arange(12) % 3, labelled=torch.arange(12) < 8, teachers=view)


def loss(method, task, student, batch, **changes):
    return make_objective(method, task, SETTINGS.model_copy(update=changes)).loss(student, batch)


@pytest.mark.parametrize("matching", ["transport", "identity"])
def test_it_is_mt_pkdot_with_the_joint_teacher_and_without_centroids(classes, make_student, batch, matching):
    terms = loss("pkdot", classes, make_student(), batch, matching=matching)
    other = loss("mt-pkdot", classes, make_student(), batch, matching=matching, selection="joint", gamma=0.0)
    assert set(terms.parts) == {"task", matching}
    assert float(terms.total.detach()) == float(other.total.detach())
    assert set(terms.diagnostics) == ({"diagonal_mass"} if matching == "transport" else set())


def test_samples_without_the_joint_teacher_are_left_out(classes, make_student, batch):
    present = batch.teachers.present.clone()
    present[:3, 1] = False
    lacking = replace(batch, teachers=replace(batch.teachers, present=present))
    student = make_student()
    loss("pkdot", classes, student, lacking).total.backward()
    assert float(student.embedding.grad[:3].abs().sum()) == 0.0
    assert bool((student.embedding.grad[3:].abs().sum(1) > 0).all())


def test_identity_compares_every_row_with_its_own(classes, make_student, batch):
    student = make_student()
    terms = loss("mt-pkdot", classes, student, batch, matching="identity", selection="joint", beta=2.0, gamma=0.0)
    ours, theirs = similarity_matrix(student.embedding), similarity_matrix(batch.teachers.embeddings[:, 1])
    columns = theirs.argsort(dim=1)[:, :5]
    expected = ((ours.gather(1, columns) - theirs.gather(1, columns)) ** 2).sum(1).mean() / 2
    torch.testing.assert_close(terms.parts["identity"], expected.detach())
    torch.testing.assert_close(terms.total, 0.8 * terms.parts["task"] + 2 * expected)
    assert "diagonal_mass" not in terms.diagnostics
