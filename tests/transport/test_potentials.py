import math

import pytest
import torch

from pipelines.transport.potentials import (
    MAX_HALVINGS,
    anneal,
    annealing_schedule,
    halvings,
    soft_minimum,
)


def half_squares(x, y):
    return torch.cdist(x, y).square() / 2


def test_schedule_is_geomlosss():
    schedule = annealing_schedule(torch.tensor([1.0]), blur=0.3, steps=None)
    eps = 1 / (schedule.inverse.flatten() * math.log(2))
    torch.testing.assert_close(eps, torch.tensor([1.0, 1.0, 1.0, 0.25, 0.09]))
    assert schedule.weight.flatten().tolist() == [1.0, 0.5, 0.5, 0.5, 0.5]


def test_clouds_wait_for_those_that_need_more_steps(make_rows):
    x, y = make_rows(16, 6, 1.0)
    costs = torch.stack((half_squares(x, y), half_squares(y, x))).unsqueeze(0)
    partner, diameter = torch.tensor([1, 0]), torch.tensor([4.0])
    runs = [
        anneal(costs, partner, annealing_schedule(diameter, blur=0.1, steps=steps), torch.empty_like(costs))
        for steps in (None, 12)
    ]
    assert torch.equal(*runs)
    waiting = annealing_schedule(torch.tensor([16.0, 0.5]), blur=0.5, steps=None).weight[:, 1].flatten()
    assert waiting.tolist() == [0, 0, 0, 0, 0, 1, 0.5, 0.5]


@pytest.mark.parametrize(
    ("ratio", "count"), [(0.0, 0), (0.5, 0), (1.0, 0), (3.0, 2), (110.0, 7), (1e300, MAX_HALVINGS)]
)
def test_halvings(ratio, count):
    assert halvings(ratio) == count


def test_soft_minimum_tends_to_the_minimum_and_to_the_mean():
    costs = torch.tensor([[[[1.0, 3.0], [2.0, 0.0]]]])
    potentials = torch.tensor([[[0.5, 0.0]]])

    def at(eps):
        return soft_minimum(potentials, costs, torch.full((1, 1, 1, 1), 1 / eps), torch.empty_like(costs))[0].flatten()

    torch.testing.assert_close(at(1e-4), torch.tensor([0.5, 0.0]), rtol=0, atol=2e-4)
    torch.testing.assert_close(at(1e4), torch.tensor([1.75, 0.75]), rtol=1e-3, atol=0)
