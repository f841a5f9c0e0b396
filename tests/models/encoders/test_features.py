import pytest
import torch

from pipelines.models import FeatureEncoder


@torch.no_grad()
def test_a_missing_feature_is_not_an_average_one():
    encoder = FeatureEncoder(in_features=4, embedding=16).eval()
    average = torch.tensor([[0.3, 0.0, -1.0, 2.0]])
    missing = torch.tensor([[0.3, float("nan"), -1.0, 2.0]])
    assert encoder(missing).isfinite().all()
    assert not torch.allclose(encoder(missing), encoder(average))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_gradients_survive_missing_features(value):
    encoder = FeatureEncoder(in_features=3, embedding=16)
    x = torch.full((2, 3), value, requires_grad=True)
    encoder(x).sum().backward()
    assert x.grad is not None
    assert x.grad.eq(0).all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())
