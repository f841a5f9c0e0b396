import pytest
import torch

from pipelines.models import WaveEncoder
from pipelines.models.encoders.wave import _pool


def _batch(length: int, count: int = 2) -> torch.Tensor:
    return torch.stack([torch.randn(count, length), torch.ones(count, length)], dim=1)


@pytest.mark.parametrize("length", [32, 33, 176, 1408, 2816])
def test_any_length(length):
    assert WaveEncoder(embedding=40)(_batch(length)).shape == (2, 40)


@pytest.mark.parametrize("shape", [(2, 2, 31), (2, 1, 176), (2, 176)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"L >= 32, not \(2,"):
        WaveEncoder()(torch.zeros(shape))


@pytest.mark.parametrize("garbage", [7.0, float("nan"), float("inf")])
def test_invalid_samples_do_not_matter(garbage):
    encoder = WaveEncoder().eval()
    x = _batch(200)
    x[:, 1, 60:90] = 0
    spoiled = x.clone()
    spoiled[:, 0, 60:90] = garbage
    embedding = encoder(spoiled)
    assert torch.equal(embedding, encoder(x))
    embedding.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_pooling_runs_over_valid_samples_only():
    features, weight = torch.rand(1, 3, 8), torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0])[None, None]
    pooled = _pool(features, weight).unflatten(1, (3, 6))[0]
    there = features[0, :, :4]
    torch.testing.assert_close(pooled[:, :2], there.unflatten(1, (2, 2)).mean(2))
    assert pooled[:, 2:4].eq(0).all()
    torch.testing.assert_close(pooled[:, 4], (there.var(dim=1, correction=0) + 1e-5).sqrt())
    torch.testing.assert_close(pooled[:, 5], there.amax(dim=1))


def test_nothing_valid_and_a_flat_line_are_finite():
    encoder = WaveEncoder()
    nothing, flat = torch.zeros(2, 2, 176), _batch(176) * torch.tensor([0.0, 1.0])[:, None]
    embedding = encoder(torch.cat([nothing, flat]))
    embedding.sum().backward()
    assert embedding.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


@torch.no_grad()
def test_loudness_and_level_reach_the_embedding():
    """Both vanish in GroupNorm; a network that only saw normalised waves would give nearly equal embeddings."""
    encoder = WaveEncoder().eval()
    summaries = []
    encoder.projection.register_forward_pre_hook(lambda _, inputs: summaries.append(inputs[0][:, -6:]))
    x = _batch(1024, count=1)
    louder = x * torch.tensor([4.0, 1.0])[:, None]
    higher = x + torch.tensor([2.0, 0.0])[:, None]
    for wave in (x, louder, higher):
        encoder(wave)
    base, loud, high = (summary[0] for summary in summaries)
    assert (loud - base)[4:].tolist() == pytest.approx([torch.tensor(4.0).log().item()] * 2, abs=1e-3)
    assert (high - base)[:4].tolist() == pytest.approx([2.0] * 4, abs=1e-4)
