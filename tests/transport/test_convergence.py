import math

import pytest
import torch

from pipelines.transport.convergence import converge_pair, refine_pair, refine_symmetric, scale_plan
from pipelines.transport.potentials import soft_minimum


def half_squares(x, y):
    return torch.cdist(x, y).square() / 2


def inverse_of(blur):
    return torch.full((1, 1, 1, 1), 1 / (blur**2 * math.log(2)), dtype=torch.float64)


def test_scaling_gives_rows_and_columns_their_masses():
    plan = torch.rand(2, 20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows, columns, missed = scale_plan(plan, 1e-10)
    scaled = plan * rows * columns
    torch.testing.assert_close(scaled.sum(2), torch.ones(2, 20, dtype=torch.float64), rtol=1e-12, atol=0)
    assert float((scaled.sum(1) - 1).abs().mean(1).max()) == pytest.approx(missed, abs=1e-13)
    assert missed <= 1e-10


def test_scaling_gives_up_where_a_column_is_empty():
    plan = torch.eye(3, dtype=torch.float64)
    plan[1:, 1:] = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert not scale_plan(plan, 1e-5)[2] <= 1e-5


@pytest.mark.parametrize(("structure", "blur", "expected"), [(0.0, 0.5, True), (2.0, 0.01, False)])
def test_newton_takes_over_where_scaling_does_not_get_there(make_rows, structure, blur, expected):
    x, y = (cloud.double() for cloud in make_rows(48, 48, structure))
    costs = half_squares(x, y).view(1, 1, 48, 48)
    pair, easy = converge_pair(torch.zeros(1, 1, 48, dtype=torch.float64), costs, inverse_of(blur), 1e-8)
    assert easy == expected
    assert (pair.plan.sum(-1) - 1).abs().mean() < 1e-8
    assert (pair.plan.sum(-2) - 1).abs().mean() < 1e-6
    exponent = (pair.rows.unsqueeze(3) + pair.columns.unsqueeze(2) - costs) / blur**2
    torch.testing.assert_close(exponent.exp() / 48, pair.plan, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("blur", [1.0, 0.1, 0.01, 1e-4])
def test_newton_meets_the_marginals_from_a_cold_start(make_rows, blur):
    x, y = (cloud.double() for cloud in make_rows(48, 48, 2.0))
    costs, eps = half_squares(x, y).unsqueeze(0), blur**2
    rows, columns = refine_pair(torch.zeros(1, 48, dtype=torch.float64), costs, eps)
    plan = torch.exp((rows.unsqueeze(2) + columns.unsqueeze(1) - costs) / eps) / 48**2
    assert (plan.sum(2) - 1 / 48).abs().sum() < 1e-6
    assert (plan.sum(1) - 1 / 48).abs().sum() < 1e-6


def test_symmetric_refinement_reaches_the_fixed_point(make_rows):
    x, _ = make_rows(48, 30, 1.0)
    costs = half_squares(x.double(), x.double()).view(1, 1, 48, 48)
    inverse = torch.full((1, 1, 1, 1), 1 / (0.01 * math.log(2)), dtype=torch.float64)
    start = costs.mean(-1) / 2
    buffer = torch.empty_like(costs)

    def residual(potentials):
        return (soft_minimum(potentials, costs, inverse, buffer)[0] - potentials).abs().max()

    assert residual(refine_symmetric(start, costs, inverse)) < 1e-4 * residual(start)
