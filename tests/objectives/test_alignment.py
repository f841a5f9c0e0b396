import math

import pytest
import torch

from pipelines.errors import SettingsError
from pipelines.objectives import alignment_term

KINDS = ("cosine", "mse", "kl", "mmd")
ADAPTED = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
JOINT = torch.tensor([[0.0, 1.0], [0.0, 1.0], [2.0, 2.0]])


def term(kind, task, adapted=ADAPTED, joint=JOINT, **options):
    """Outputs are the embeddings with a zero logit added."""
    adapted_output, joint_output = (torch.cat((z, torch.zeros(len(z), 1)), 1) for z in (adapted, joint))
    return alignment_term(
        adapted, joint, kind, task=task, adapted_output=adapted_output, joint_output=joint_output, **options
    )


def test_cosine_by_hand(classes):
    assert float(term("cosine", classes)) == pytest.approx(1 / 3)


def test_mse_by_hand(classes):
    assert float(term("mse", classes)) == pytest.approx((1 + 1 + 0 + 1 + 1 + 1) / 6)


def test_kl_by_hand(classes):
    def softmax(logits):
        powers = [math.exp(logit / 2) for logit in logits]
        return [power / sum(powers) for power in powers]

    pairs = [((1, 0, 0), (0, 1, 0)), ((0, 2, 0), (0, 1, 0)), ((1, 1, 0), (2, 2, 0))]
    divergences = [
        sum(q * math.log(q / p) for p, q in zip(softmax(ours), softmax(theirs), strict=True)) for ours, theirs in pairs
    ]
    assert float(term("kl", classes)) == pytest.approx(4 * sum(divergences) / 3)


def test_mmd_by_hand(classes):
    # Two points each, squared distances: 1 and 1 within, 4 for equal rows, 5 across; lower median of 1 1 4 4 5 5: 4.
    adapted, joint = torch.tensor([[0.0, 0.0], [0.0, 1.0]]), torch.tensor([[2.0, 0.0], [2.0, 1.0]])
    expected = 0.0
    for width in (0.25, 0.5, 1.0, 2.0, 4.0):
        kernel = {d: math.exp(-d / (2 * width * 4)) for d in (0, 1, 4, 5)}
        within = (2 * kernel[0] + 2 * kernel[1]) / 4
        expected += (2 * within - 2 * (2 * kernel[4] + 2 * kernel[5]) / 4) / 5
    assert float(term("mmd", classes, adapted, joint)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_zero_with_a_finite_gradient_when_equal(classes, kind):
    adapted = ADAPTED.clone().requires_grad_()
    loss = term(kind, classes, adapted, ADAPTED)
    loss.backward()
    assert abs(float(loss.detach())) < 1e-6
    assert adapted.grad is not None
    assert bool(adapted.grad.isfinite().all())


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_finite_differences(classes, kind):
    generator = torch.Generator().manual_seed(0)
    clouds = [torch.randn(4, 3, dtype=torch.float64, generator=generator).requires_grad_() for _ in range(2)]

    def loss(adapted, joint):
        return alignment_term(adapted, joint, kind, task=classes, adapted_output=adapted, joint_output=joint)

    if kind == "mmd":  # whose median is a constant for the gradient only
        of_adapted, of_joint = torch.autograd.grad(loss(*clouds), clouds)
        assert float(of_adapted.norm()) > 0
        torch.testing.assert_close(of_adapted.sum(0), -of_joint.sum(0))
    else:
        assert torch.autograd.gradcheck(loss, clouds)


@pytest.mark.parametrize("kind", KINDS)
def test_absent_modalities_do_not_count(classes, kind):
    present = torch.tensor([True, False, True])
    adapted = ADAPTED.clone()
    adapted[1] = math.nan
    expected = term(kind, classes, ADAPTED[present], JOINT[present])
    torch.testing.assert_close(term(kind, classes, adapted, JOINT, present=present), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_present_is_a_zero_with_a_graph(classes, kind):
    adapted = ADAPTED.clone().requires_grad_()
    loss = term(kind, classes, adapted, present=torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert adapted.grad is not None
    assert float(adapted.grad.abs().sum()) == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_descending_draws_the_adapted_to_the_joint(classes, kind):
    adapted = ADAPTED.clone().requires_grad_()
    start = float(term(kind, classes).detach())
    for _ in range(60):
        (gradient,) = torch.autograd.grad(term(kind, classes, adapted), adapted)
        adapted = (adapted - 0.3 * gradient).detach().requires_grad_()
    assert float(term(kind, classes, adapted).detach()) < 0.9 * start


def test_kl_is_for_classes(continuous):
    with pytest.raises(SettingsError, match="use cosine, mse or mmd"):
        term("kl", continuous)


def test_kl_needs_outputs(classes):
    with pytest.raises(ValueError, match="outputs of both heads"):
        alignment_term(ADAPTED, JOINT, "kl", task=classes)


def test_unknown_terms_are_refused(classes):
    with pytest.raises(SettingsError, match="'coral': expected one of cosine, mse, kl, mmd"):
        term("coral", classes)
