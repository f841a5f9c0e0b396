import math

import pytest
import torch
from geomloss import SamplesLoss
from scipy.optimize import linear_sum_assignment

from pipelines.transport import sinkhorn_divergence, transport_plan

MODES = ("fast", "accurate", "pot")


def reference(x: torch.Tensor, y: torch.Tensor, blur: float, iterations: int = 2000) -> float:
    """The divergence by plain alternating updates in float64, long past convergence."""

    def dual(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        cost = ((u.unsqueeze(1) - v.unsqueeze(0)) ** 2).sum(-1) / 2
        eps, g = blur**2, torch.zeros(len(v), dtype=torch.float64)
        for _ in range(iterations):
            f = -eps * (((g - cost) / eps).logsumexp(1) - math.log(len(v)))
            g = -eps * (((f.unsqueeze(1) - cost) / eps).logsumexp(0) - math.log(len(u)))
        return f.mean() + g.mean()

    x, y = x.double(), y.double()
    return float(dual(x, y) - dual(x, x) / 2 - dual(y, y) / 2)


def waves(size: int = 24, width: int = 5, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Two clouds from a formula, so that pinned values depend on no random number generator."""
    grid = torch.arange(size * width, dtype=torch.float64).view(size, width)
    return (torch.sin(grid * 1.7) / 2).to(dtype), (torch.cos(grid * 2.3) / 2 + 0.1).to(dtype)


def value_and_gradient(x: torch.Tensor, y: torch.Tensor, **options) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.clone().requires_grad_()
    value = sinkhorn_divergence(x, y, **options)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), gradient


# Computed once by `reference` with 200,000 iterations.
@pytest.mark.parametrize(("blur", "expected"), [(0.05, 0.240051087697), (0.1, 0.237804923933), (0.5, 0.171629679237)])
def test_pinned_values(blur, expected):
    x, y = waves()
    assert float(sinkhorn_divergence(x, y, blur=blur, mode="accurate")) == pytest.approx(expected, abs=1e-8)
    assert float(sinkhorn_divergence(x, y, blur=blur)) == pytest.approx(expected, rel=2e-2)


@pytest.mark.parametrize("structure", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("anchors", [30, 128])
def test_fast_repeats_geomloss(make_rows, structure, anchors):
    x, y = make_rows(128, anchors, structure)
    theirs_x = x.clone().requires_grad_()
    theirs = SamplesLoss("sinkhorn", p=2, blur=0.1)(theirs_x, y)
    (their_gradient,) = torch.autograd.grad(theirs, theirs_x)
    ours, gradient = value_and_gradient(x, y)
    assert float(ours) == pytest.approx(float(theirs.detach()), rel=1e-5, abs=1e-5)
    assert (gradient - their_gradient).norm() < 5e-4 * their_gradient.norm()


@pytest.mark.parametrize("structure", [0.0, 0.5])
def test_accurate_agrees_with_pot(make_rows, structure):
    x, y = make_rows(64, 64, structure)
    truth = value_and_gradient(x, y, mode="pot", blur=0.3)
    value, gradient = value_and_gradient(x, y, mode="accurate", blur=0.3)
    assert value.dtype == gradient.dtype == torch.float32
    assert float(value) == pytest.approx(float(truth[0]), rel=1e-5, abs=1e-6)
    assert (gradient - truth[1]).norm() < 1e-4 * truth[1].norm()


@pytest.mark.parametrize("structure", [0.0, 2.0])
def test_all_modes_agree_with_the_plain_loop(make_rows, structure):
    x, y = make_rows(32, 12, structure)
    truth = reference(x, y, 0.1)
    assert float(sinkhorn_divergence(x, y, mode="accurate")) == pytest.approx(truth, abs=1e-6)
    assert float(sinkhorn_divergence(x, y)) == pytest.approx(truth, rel=2e-2)
    truth = reference(x, y, 0.5)
    for mode in MODES:
        assert float(sinkhorn_divergence(x, y, blur=0.5, mode=mode)) == pytest.approx(truth, rel=1e-2), mode


def test_gradients_by_finite_differences():
    clouds = tuple(cloud.requires_grad_() for cloud in waves(5, 2))
    assert torch.autograd.gradcheck(lambda x, y: sinkhorn_divergence(x, y, blur=0.3, mode="accurate"), clouds)


def test_fast_gradient_is_near_the_converged_one(make_rows):
    x, y = make_rows(128, 30, 1.0)
    truth = value_and_gradient(x, y, mode="accurate")[1]
    assert (value_and_gradient(x, y)[1] - truth).norm() < 0.05 * truth.norm()


@pytest.mark.parametrize("structure", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("anchors", [30, 128])
def test_accurate_gradient_is_the_converged_one(make_rows, structure, anchors):
    x, y = make_rows(128, anchors, structure)
    truth, gradient = (value_and_gradient(each, y.to(each), mode="accurate") for each in (x.double(), x))
    assert float(gradient[0]) == pytest.approx(float(truth[0]), rel=1e-6, abs=1e-6)
    assert (gradient[1] - truth[1]).norm() < 2e-5 * truth[1].norm()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("mode", MODES)
def test_results_stay_on_the_device(make_rows, mode):
    x, y = make_rows(32, 12, 1.0)
    value, gradient = value_and_gradient(x.cuda(), y.cuda(), mode=mode, blur=0.3)
    assert value.device.type == gradient.device.type == "cuda"
    expected = value_and_gradient(x, y, mode=mode, blur=0.3)
    torch.testing.assert_close((value.cpu(), gradient.cpu()), expected, rtol=1e-3, atol=1e-6)


def test_gradient_reaches_only_what_asks_for_it_and_only_once():
    x, y = waves(6, 3)
    y.requires_grad_()
    value = sinkhorn_divergence(x, y).square()
    (gradient,) = torch.autograd.grad(value, y, create_graph=True)
    assert gradient.abs().sum() > 0
    assert x.grad is None
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("mode", MODES)
def test_zero_for_equal_clouds(make_rows, mode):
    x, _ = make_rows(40, 10, 1.0)
    value, gradient = value_and_gradient(x, x.clone(), mode=mode, blur=0.3)
    assert abs(float(value)) < 1e-6
    assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("mode", MODES)
def test_symmetric_non_negative_and_blind_to_order(make_rows, mode):
    x, y = make_rows(40, 10, 1.0)
    value = float(sinkhorn_divergence(x, y, mode=mode, blur=0.3))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert value > 0.01
    assert float(sinkhorn_divergence(y, x, mode=mode, blur=0.3)) == pytest.approx(value, abs=1e-6)
    assert float(sinkhorn_divergence(x[order], y, mode=mode, blur=0.3)) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_one_point_costs_half_its_squared_distance(mode):
    x, y = torch.tensor([[0.0, 3.0]]), torch.tensor([[4.0, 0.0]])
    value, gradient = value_and_gradient(x, y, mode=mode)
    assert float(value) == pytest.approx(12.5, rel=1e-6)
    torch.testing.assert_close(gradient, x - y)


@pytest.mark.parametrize("mode", MODES)
def test_duplicated_points(mode):
    x, y = waves(8, 3, torch.float32)
    once = float(sinkhorn_divergence(x, y, mode=mode, blur=0.5))
    tripled = float(sinkhorn_divergence(x.repeat(3, 1), y.repeat(3, 1), mode=mode, blur=0.5))
    all_alike = float(sinkhorn_divergence(x[:1].expand(8, 3), y[:1].expand(8, 3), mode=mode))
    assert tripled == pytest.approx(once, abs=2e-6)
    assert all_alike == pytest.approx(float((x[0] - y[0]).square().sum() / 2), rel=1e-5)


@pytest.mark.parametrize("mode", ["fast", "accurate"])
@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e3, 1e8])
def test_scaling_everything_scales_the_value_by_the_square(mode, scale):
    x, y = waves(dtype=torch.float32)
    once = float(sinkhorn_divergence(x, y, mode=mode))
    scaled = float(sinkhorn_divergence(x * scale, y * scale, blur=0.1 * scale, mode=mode))
    assert scaled / scale**2 == pytest.approx(once, rel=1e-4)


@pytest.mark.parametrize(("mode", "tolerance"), [("fast", 0.03), ("accurate", 1e-6)])
@pytest.mark.parametrize("scale", [1e2, 1e5])
def test_far_apart_it_is_the_cost_of_the_best_assignment(mode, tolerance, scale):
    x, y = (cloud * scale for cloud in waves(dtype=torch.float32))
    value, gradient = value_and_gradient(x, y, mode=mode)
    cost = torch.cdist(x.double(), y.double()).square() / 2
    rows, columns = linear_sum_assignment(cost.numpy())
    assert float(value) == pytest.approx(float(cost[rows, columns].mean()), rel=tolerance)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("mode", ["fast", "accurate"])
def test_close_by_it_is_the_distance_of_the_means(mode):
    x, y = (cloud * 1e-4 for cloud in waves())
    expected = float((x.mean(0) - y.mean(0)).square().sum() / 2)
    assert float(sinkhorn_divergence(x, y, mode=mode)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_several_clouds_are_each_what_they_are_alone(make_rows, mode):
    pairs = [make_rows(32, 8, structure) for structure in (0.0, 1.0, 3.0)]
    scale = torch.tensor([1.0, 0.01, 4.0]).view(3, 1, 1)
    x, y = (torch.stack(clouds) * scale for clouds in zip(*pairs, strict=True))
    together, gradient = value_and_gradient(x, y, mode=mode, blur=0.5)
    assert together.shape == (3,)
    for index in range(3):
        value, alone = value_and_gradient(x[index], y[index], mode=mode, blur=0.5)
        torch.testing.assert_close(together[index], value, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(gradient[index], alone, rtol=1e-4, atol=1e-6)


def test_gradients_of_several_clouds_are_weighted_apart():
    x, y = (cloud.view(4, 6, 5).requires_grad_() for cloud in waves())
    weight = torch.tensor([0.0, 1.0, 2.0, -1.0], dtype=torch.float64)
    (weighted,) = torch.autograd.grad((sinkhorn_divergence(x, y) * weight).sum(), x)
    (plain,) = torch.autograd.grad(sinkhorn_divergence(x, y).sum(), x)
    torch.testing.assert_close(weighted, plain * weight.view(4, 1, 1))


@pytest.mark.parametrize(("given", "returned"), [(torch.bfloat16, torch.float32), (torch.float64, torch.float64)])
def test_types_in_and_out(given, returned):
    x, y = waves(dtype=given)
    value, gradient = value_and_gradient(x, y)
    assert (value.dtype, gradient.dtype) == (returned, given)


def test_mixed_precision_does_not_reach_the_costs():
    x, y = waves(dtype=torch.float32)
    plain = sinkhorn_divergence(x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(sinkhorn_divergence(x, y), plain)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["x", "y"])
def test_values_that_are_not_finite_are_refused_by_name(name, bad):
    x, y = waves()
    {"x": x, "y": y}[name][3, 2] = bad
    with pytest.raises(ValueError, match=f"^{name} holds NaN or infinity"):
        sinkhorn_divergence(x, y)


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((4, 3), (5, 3)), {}, r"\(4, 3\) and y of shape \(5, 3\)"),
        (((0, 3), (0, 3)), {}, "non-empty"),
        (((3,), (3,)), {}, "expected two non-empty clouds"),
        (((4, 3), (4, 3)), {"blur": 0.0}, r"blur = 0\.0"),
        (((4, 3), (4, 3)), {"mode": "quick"}, "mode = 'quick': expected one of fast, accurate, pot"),
    ],
)
def test_what_cannot_be_meant_is_refused(shapes, options, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_divergence(torch.zeros(shapes[0]), torch.zeros(shapes[1]), **options)


def test_integers_are_refused():
    with pytest.raises(ValueError, match=r"y is torch\.int64"):
        sinkhorn_divergence(torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.long))


def test_plan_has_the_marginals(make_rows):
    x, y = make_rows(40, 10, 1.0)
    plan, annealed = transport_plan(x, y), transport_plan(x, y, mode="fast")
    for marginal in (plan.sum(0), plan.sum(1), annealed.sum(1)):
        torch.testing.assert_close(marginal, torch.full((40,), 1 / 40), rtol=1e-5, atol=0)
    assert (annealed.sum(0) - 1 / 40).abs().sum() > 0.01
    torch.testing.assert_close(transport_plan(torch.stack((x, y)), torch.stack((y, x)))[0], plan)


def test_plan_between_a_cloud_and_its_permutation_is_the_permutation():
    x = torch.eye(6) * 3
    order = torch.tensor([2, 0, 1, 5, 4, 3])
    torch.testing.assert_close(transport_plan(x, x[order]), torch.eye(6)[:, order] / 6)
