import pytest
import torch

from pipelines.models.temporal import DilatedLayer, TemporalHead

WIDTH = 8


def _head(context: int) -> TemporalHead:
    return TemporalHead(width=WIDTH, context=context, dropout=0.2).eval()


def _influence(context: int) -> torch.Tensor:
    """(L,): how much each window moves the answer."""
    x = torch.randn(4, context, WIDTH, requires_grad=True)
    _head(context)(x, torch.ones(4, context, dtype=torch.bool)).square().sum().backward()
    assert x.grad is not None
    return x.grad.abs().sum(dim=(0, 2))


@pytest.mark.parametrize(("context", "layers"), [(1, 0), (3, 1), (5, 2), (7, 2), (9, 3), (15, 3), (17, 4), (63, 5)])
def test_it_reaches_exactly_the_edge_of_the_context(context, layers):
    assert len(_head(context).layers) == layers
    assert (_influence(context) > 0).all()


def test_without_neighbours_the_window_passes_unchanged():
    x = torch.randn(3, 1, WIDTH)
    assert torch.equal(_head(1)(x, torch.ones(3, 1, dtype=torch.bool)), x[:, 0])
    assert not list(_head(1).parameters())


@torch.no_grad()
def test_one_layer_by_hand():
    head = _head(3)
    (layer,) = head.layers
    assert isinstance(layer, DilatedLayer)
    x = torch.randn(2, 3, WIDTH)
    there = torch.tensor([[True, True, True], [False, True, True]])
    normed = torch.nn.functional.layer_norm(x, (WIDTH,))
    before, at, after = layer.taps.weight.split(WIDTH, dim=1)
    inner = normed[:, 1] @ at.T + normed[:, 2] @ after.T + layer.taps.bias
    inner[0] += normed[0, 0] @ before.T
    expected = x[:, 1] + torch.relu(inner) @ layer.output.weight.T + layer.output.bias
    torch.testing.assert_close(head(x, there), expected)


@torch.no_grad()
def test_order_and_distance_in_time_are_seen():
    head = _head(5)
    x, there = torch.randn(4, 5, WIDTH), torch.ones(4, 5, dtype=torch.bool)
    expected = head(x, there)
    assert not torch.allclose(head(x.flip(1), there), expected, atol=1e-4)
    near, far = there.clone(), there.clone()
    near[:, :2], near[:, 3] = False, False
    far[:, 0], far[:, 3:] = False, False
    moved = x.clone()
    moved[:, 4], moved[:, 1] = x[:, 3], x[:, 3]
    assert not torch.allclose(head(moved, near), head(moved, far), atol=1e-4)


@pytest.mark.parametrize("context", [3, 7])
def test_absent_windows_are_silent(context):
    head = _head(context)
    x, there = torch.randn(5, context, WIDTH), torch.rand(5, context) > 0.4
    there[:, context // 2] = True
    expected = head(x, there)
    other = torch.where(there[..., None], x, 1e4).requires_grad_()
    answer = head(other, there)
    assert torch.equal(answer, expected)
    answer.sum().backward()
    assert other.grad is not None
    assert other.grad[~there].eq(0).all()
