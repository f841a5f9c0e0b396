import pytest
import torch

from pipelines.models.encoders.pooling import bin_means, standard_deviation


@pytest.mark.parametrize("size", [1, 2, 4, 7, 11])
def test_bins_are_those_of_adaptive_pooling(size):
    x = torch.randn(2, 3, size, dtype=torch.float64)
    torch.testing.assert_close(bin_means(x, 4, dim=2), torch.nn.functional.adaptive_avg_pool1d(x, 4))


def test_standard_deviation_of_a_constant_has_a_finite_gradient():
    x = torch.full((5,), 3.0, requires_grad=True)
    standard_deviation((x * x).mean(), x.mean()).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_standard_deviation_is_the_populations():
    x = torch.randn(50, dtype=torch.float64)
    expected = (x.var(correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(standard_deviation((x * x).mean(), x.mean()), expected)
