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
    assert float(task_loss(output, target, torch.ones(3, dtype=torch.bool), continuous)) == pytest.approx(expected)
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


@pytest.mark.parametrize("size", [1, 5])
def test_concordance_survives_vanishing_variance(continuous, size):
    output = torch.full((size, 2), 0.3, requires_grad=True)
    loss = task_loss(output, torch.full((size, 2), 0.3), torch.ones(size, dtype=torch.bool), continuous)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1.0)
    assert output.grad is not None
    assert bool(output.grad.isfinite().all())


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
