import pytest
import torch

from pipelines.objectives.structure import row_distance
from pipelines.transport import anchored_rows, row_divergence, similarity_matrix


def test_row_distance_by_hand():
    # Squared distances 25 and 1, halved and averaged.
    assert float(row_distance(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[3.0, 4.0], [1.0, 2.0]]))) == 6.5


def test_identity_is_what_the_transport_costs_where_its_plan_is_the_identity(make_student):
    student = make_student().embedding.detach()
    moved = student + 0.01 * make_student(13).embedding.detach()[:12]
    rows = anchored_rows(similarity_matrix(moved), similarity_matrix(student), 12)
    assert float(row_distance(*rows)) == pytest.approx(float(row_divergence(*rows, blur=0.01)), rel=1e-2)
