import math

import pytest
import torch

from pipelines.objectives import per_sample_loss, task_loss

ALL = torch.ones(2, dtype=torch.bool)


def test_cross_entropy_by_hand(classes):
    output = torch.tensor([[0.0, 0.0, 0.0], [math.log(2), 0.0, 0.0]])
    target = torch.tensor([1, 0])
    assert float(task_loss(output, target, ALL, classes)) == pytest.approx((math.log(3) + math.log(2)) / 2)
    assert per_sample_loss(output, target, classes).tolist() == pytest.approx([math.log(3), math.log(2)])


def test_concordance_by_hand(continuous):
    # Valence: means 2 and 3, variances 2/3 and 2/3, covariance 2/3; arousal: perfect.
    output = torch.tensor([[1.0, 0.0], [2.0, 0.5], [3.0, 1.0]])
    target = torch.tensor([[2.0, 0.0], [3.0, 0.5], [4.0, 1.0]])
    expected = 1 - ((4 / 3) / (4 / 3 + 1) + 1) / 2
    loss = float(task_loss(output, target, torch.ones(3, dtype=torch.bool), continuous))
    assert loss == pytest.approx(expected, abs=2e-6)
    assert per_sample_loss(output, target, continuous).tolist() == pytest.approx([0.5, 0.5, 0.5])


@pytest.mark.parametrize("kind", ["classes", "continuous"])
def test_unlabelled_samples_do_not_count(kind, request):
    task = request.getfixturevalue(kind)
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(6, task.num_outputs, generator=generator)
    labelled = torch.tensor([True, False, True, True, False, True])
    if kind == "classes":
        target, poison = torch.tensor([0, 1, 2, 1, 0, 2]), -1
    else:
        target, poison = torch.randn(6, 2, generator=generator), math.nan
    expected = task_loss(output[labelled], target[labelled], labelled[labelled], task)
    target[~labelled] = poison
    output.requires_grad_()
    loss = task_loss(output, target, labelled, task)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    assert output.grad is not None
    assert bool((output.grad[~labelled] == 0).all())


@pytest.mark.parametrize("kind", ["classes", "continuous"])
def test_no_label_is_a_zero_with_a_graph(kind, request):
    task = request.getfixturevalue(kind)
    output = torch.randn(4, task.num_outputs, requires_grad=True)
    target = torch.zeros(4, dtype=torch.long) if kind == "classes" else torch.full((4, 2), math.nan)
    loss = task_loss(output, target, torch.zeros(4, dtype=torch.bool), task)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert output.grad is not None
    assert bool((output.grad == 0).all())


def _evaluate(output: torch.Tensor, target: torch.Tensor, task) -> tuple[float, torch.Tensor]:
    """Value and gradient."""
    output = output.detach().requires_grad_()
    loss = task_loss(output, target, torch.ones(len(output), dtype=torch.bool), task)
    loss.backward()
    assert output.grad is not None
    return float(loss.detach()), output.grad.double()


def _noise(size: int) -> torch.Tensor:
    """(size, 2) values of unit variance from a formula, so that pinned numbers depend on no generator."""
    steps = torch.arange(size, dtype=torch.float64)[:, None]
    return math.sqrt(2) * torch.sin(steps * torch.tensor([0.9, 2.3], dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("offset", [0.0, 0.3, -1.0, 123.4, 12345.6])
@pytest.mark.parametrize("size", [1, 2, 33, 1000])
@pytest.mark.parametrize("apart", [0.0, 0.5])
def test_constants_have_no_concordance_and_no_gradient(continuous, dtype, offset, size, apart):
    output, target = torch.full((size, 2), offset + apart, dtype=dtype), torch.full((size, 2), offset)
    value, gradient = _evaluate(output, target, continuous)
    assert value == pytest.approx(1.0, abs=1e-6)
    assert gradient.abs().max() < 1e-6


def test_a_constant_target_has_no_concordance_and_no_gradient(continuous):
    for offset in (0.0, 0.3, 123.4, 12345.6):
        for spread in (1e-4, 1e-2, 1.0):
            output, target = (offset + spread * _noise(33)).float(), torch.full((33, 2), offset)
            value, gradient = _evaluate(output, target, continuous)
            assert value == pytest.approx(1.0, abs=1e-6)
            assert gradient.abs().max() < 1e-6


def test_constant_predictions_are_drawn_apart(continuous):
    """Concordance 0, and a gradient that moves every prediction the way of its target."""
    target = 0.3 * _noise(33)
    value, gradient = _evaluate(torch.zeros(33, 2, dtype=torch.float64), target, continuous)
    assert value == pytest.approx(1.0)
    centred = target - target.mean(0)
    # d CCC / d p_i = 2 (t_i - mean t) / (B (var t + (mean p - mean t)^2)), halved over two dimensions.
    expected = -centred / 33 / (centred.square().mean(0) + target.mean(0).square() + 1e-6)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("spread", [1e-5, 1e-4, 1e-3, 1e-2, 1.0])
@pytest.mark.parametrize("offset", [0.0, 0.3, 123.4])
def test_single_precision_agrees_with_double_and_the_gradient_is_bounded(continuous, spread, offset):
    size = 33
    output = (offset + spread * _noise(size).roll(1, 0)).float()
    target = (offset + spread * _noise(size)).float()
    value, gradient = _evaluate(output, target, continuous)
    expected, precise = _evaluate(output.double(), target.double(), continuous)
    assert value == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(gradient, precise, rtol=1e-4, atol=1e-6)
    assert (gradient.norm(dim=0) * 2 < math.sqrt(2 / (1e-6 * size))).all()


@pytest.mark.parametrize(
    ("spread", "pinned"), [(1.0, 0.19466425685850042), (1e-2, 0.19913192240926736), (1e-3, 0.47890699793507396)]
)
def test_pinned_concordance_losses(continuous, spread, pinned):
    """Values from numpy in float64; the smallest spread is one step of an annotation."""
    target = spread * _noise(33)
    output = 0.8 * target + 0.5 * target.roll(1, 0) + 0.1 * spread
    assert _evaluate(output, target, continuous)[0] == pytest.approx(pinned, abs=1e-12)
    assert _evaluate(output.float(), target.float(), continuous)[0] == pytest.approx(pinned, abs=1e-6)
    assert _evaluate(output.bfloat16(), target.float(), continuous)[0] == pytest.approx(pinned, abs=2e-3)


def test_gradient_of_concordance_by_finite_differences(continuous):
    generator = torch.Generator().manual_seed(0)
    output, target = (torch.randn(5, 2, dtype=torch.float64, generator=generator) for _ in range(2))
    labelled = torch.tensor([True, True, False, True, True])
    assert torch.autograd.gradcheck(lambda o: task_loss(o, target, labelled, continuous), output.requires_grad_())


def test_shapes_that_do_not_fit_the_task_are_refused(classes, continuous):
    with pytest.raises(ValueError, match=r"output \(2, 2\) and target \(2,\) do not fit 3 outputs of kind classes"):
        task_loss(torch.zeros(2, 2), torch.zeros(2, dtype=torch.long), ALL, classes)
    with pytest.raises(ValueError, match=r"expected \(2, 2\) and \(2, 2\)"):
        per_sample_loss(torch.zeros(2, 2), torch.zeros(2), continuous)
