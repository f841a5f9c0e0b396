from dataclasses import replace

import pytest
import torch

from pipelines.objectives import METHODS, DistillationBatch, make_objective
from pipelines.objectives.structure import row_distance, transports
from pipelines.recipe import DistillationSettings
from pipelines.transport import anchored_rows, row_divergence, similarity_matrix


def test_row_distance_by_hand():
    # Squared distances 25 and 1, halved and averaged.
    assert float(row_distance(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[3.0, 4.0], [1.0, 2.0]]))) == 6.5


def test_identity_is_what_the_transport_costs_where_its_plan_is_the_identity(make_student):
    student = make_student().embedding.detach()
    moved = student + 0.01 * make_student(13).embedding.detach()[:12]
    rows = anchored_rows(similarity_matrix(moved), similarity_matrix(student), 12)
    assert float(row_distance(*rows)) == pytest.approx(float(row_divergence(*rows, blur=0.01)), rel=1e-2)


TRANSPORTING = {"pkdot", "mt-pkdot", "mt-pkdot-published", "self-kd"}


def test_only_methods_that_match_rows_by_transport_say_so(classes):
    for matching in ("transport", "identity"):
        settings = DistillationSettings(matching=matching)
        found = {name for name in METHODS if transports(make_objective(name, classes, settings))}
        # The published form goes by its own settings.
        assert found == (TRANSPORTING if matching == "transport" else {"mt-pkdot-published"})


@pytest.mark.parametrize("method", sorted(TRANSPORTING))
def test_an_arrangement_is_what_the_loss_goes_by(classes, make_view, make_student, method):
    generator = torch.Generator().manual_seed(3)
    view = make_view(torch.rand(12, 3, generator=generator).tolist(), absent=[(4, 0), (4, 1), (4, 2), (7, 0)])
    drawn = torch.randn(12, 3, 6, generator=generator)
    view = replace(view, embeddings=torch.where(view.present[..., None], drawn, torch.nan))
    student, objective = make_student(), make_objective(method, classes, DistillationSettings(anchors=5, blur=0.2))
    seen = objective.arrangement(student, view)
    assert seen.known.tolist() == [row != 4 for row in range(12)]
    settings = objective.settings
    for matrix in (seen.student, seen.teacher):
        assert matrix.shape == (11, 11)
        assert not matrix.requires_grad
        torch.testing.assert_close(matrix, matrix.T)
        torch.testing.assert_close(matrix.diagonal(), torch.full((11,), 2.0))
    labels = torch.zeros(12, dtype=torch.long)
    batch = DistillationBatch(target=labels, labelled=torch.zeros(12, dtype=torch.bool), teachers=view)
    terms = objective.loss(student, batch)
    rows = anchored_rows(seen.student, seen.teacher, settings.anchors)
    assert torch.equal(terms.parts["transport"], row_divergence(*rows, blur=settings.blur))
    assert torch.equal(terms.diagnostics["diagonal_mass"], seen.plan.trace())
    assert float(seen.plan.sum()) == pytest.approx(1)
    torch.testing.assert_close(seen.plan.sum(1), torch.full((11,), 1 / 11))


@pytest.mark.parametrize("method", sorted(TRANSPORTING))
def test_where_no_teacher_knows_a_sample_there_is_nothing_to_arrange(classes, make_view, make_student, method):
    view = make_view([[0.1, 0.2, 0.3]] * 2, absent=[(row, teacher) for row in range(2) for teacher in range(3)])
    seen = make_objective(method, classes, DistillationSettings()).arrangement(make_student(2, 2), view)
    assert not seen.known.any()
    assert seen.student.shape == seen.teacher.shape == seen.plan.shape == (0, 0)
