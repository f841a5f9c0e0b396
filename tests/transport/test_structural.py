import math

import pytest
import torch

from pipelines.transport import (
    anchored_rows,
    centroid_loss,
    similarity_matrix,
    sinkhorn_divergence,
    structural_transport_loss,
)


@pytest.fixture
def embeddings():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(20, 6, generator=generator), torch.randn(20, 9, generator=generator)


def test_rows_are_read_at_the_teachers_lowest_columns():
    teacher = torch.tensor([[2.0, 0.3, 0.1], [0.3, 2.0, 0.2], [0.1, 0.2, 2.0]])
    student = torch.arange(9.0).view(3, 3)
    ours, theirs = anchored_rows(student, teacher, 2)
    assert ours.tolist() == [[2.0, 1.0], [5.0, 3.0], [6.0, 7.0]]
    torch.testing.assert_close(theirs, torch.tensor([[0.1, 0.3], [0.2, 0.3], [0.1, 0.2]]))


def test_it_is_the_divergence_of_anchored_rows(embeddings):
    student, teacher = embeddings
    rows = anchored_rows(similarity_matrix(student), similarity_matrix(teacher), 5)
    expected = sinkhorn_divergence(*rows, blur=0.2)
    torch.testing.assert_close(structural_transport_loss(student, teacher, anchors=5, blur=0.2), expected)


def test_zero_for_a_rotated_and_scaled_teacher(embeddings):
    student, _ = embeddings
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0))).Q
    assert abs(float(structural_transport_loss(student @ rotation * 7, student))) < 1e-5
    assert float(structural_transport_loss(student, embeddings[1])) > 0.05


def test_descending_it_brings_the_structures_together(embeddings):
    student, teacher = embeddings[0].clone().requires_grad_(), embeddings[1]
    optimizer = torch.optim.Adam([student], lr=0.1)
    start = float(structural_transport_loss(student, teacher).detach())
    for _ in range(20):
        optimizer.zero_grad()
        structural_transport_loss(student, teacher).backward()
        optimizer.step()
    assert float(structural_transport_loss(student, teacher).detach()) < 0.5 * start


def test_one_sample_has_no_structure():
    student = torch.ones(1, 4, requires_grad=True)
    loss = structural_transport_loss(student, torch.ones(1, 7))
    loss.backward()
    assert student.grad is not None
    assert abs(float(loss.detach())) < 1e-6
    assert bool(student.grad.isfinite().all())


def test_batches_of_other_samples_are_refused():
    with pytest.raises(ValueError, match="student has 3 samples, teacher 4"):
        structural_transport_loss(torch.ones(3, 2), torch.ones(4, 2))


def test_centroid_loss_by_hand():
    student, teacher = torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    assert float(centroid_loss(student, teacher)) == pytest.approx(math.sqrt(0.5))


def test_centroid_loss_is_differentiable_at_zero():
    student = torch.eye(3).requires_grad_()
    centroid_loss(student, torch.eye(3)).backward()
    assert student.grad is not None
    assert bool((student.grad == 0).all())
