import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, interpolate

from pipelines.models import Head, SmallSpectrogramEncoder, SmallVideoEncoder


@pytest.mark.parametrize(("frames", "side"), [(10, 112), (1, 112), (3, 48), (2, 33)])
def test_video_of_any_length_and_size(frames, side):
    encoder = SmallVideoEncoder(embedding=40)
    embedding = encoder(torch.rand(2, 3, frames, side, side))
    embedding.sum().backward()
    assert embedding.shape == (2, 40)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def _clips(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A bar on a face-like random background, new for every clip; label 1 where the bar sinks by four pixels."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(count) % 2
    background = interpolate(torch.randn(count, 3, 8, 8, generator=generator), size=64, mode="bilinear")
    clips = background[:, :, None].repeat(1, 1, 5, 1, 1)
    for clip, moves, top in zip(clips, label, torch.randint(14, 20, (count,), generator=generator), strict=True):
        for frame in range(5):
            row = int(top + moves * frame)
            clip[:, frame, row : row + 3, 16:48] = -1.5
    return clips, label


def test_video_learns_movement_across_identities():
    clips, label = _clips(64, seed=1)
    unseen, truth = _clips(64, seed=2)
    network = nn.Sequential(SmallVideoEncoder(embedding=64), Head(64, 2))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(12):
        for rows in torch.randperm(64).split(16):
            optimiser.zero_grad()
            cross_entropy(network(clips[rows]), label[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        accuracy = (network.eval()(unseen).argmax(1) == truth).float().mean().item()
    assert accuracy >= 0.9


@torch.no_grad()
def test_video_separates_movement_from_appearance():
    """Beside each frame's 16 channels stand four times their differences from the clip's mean: zero at rest."""
    encoder = SmallVideoEncoder().eval()
    still = torch.rand(1, 3, 1, 64, 64).expand(1, 3, 6, 64, 64)
    moving = still + 0.5 * torch.rand(1, 3, 6, 64, 64)
    seen = []
    encoder.body.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder(still)
    encoder(moving)
    (at_rest, in_motion) = seen
    torch.testing.assert_close(at_rest[:, 16:], torch.zeros(6, 16, 16, 16), atol=1e-5, rtol=0)
    torch.testing.assert_close(in_motion[:, 16:], 4 * (in_motion[:, :16] - in_motion[:, :16].mean(dim=0)))
    assert in_motion[:, 16:].abs().max() > 0.1


@torch.no_grad()
def test_video_pools_mean_deviation_and_maximum_over_time():
    encoder = SmallVideoEncoder().eval()
    frames, pooled = [], []
    encoder.frame.register_forward_hook(lambda _, __, output: frames.append(output.clone()))
    encoder.norm.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0]))
    encoder(torch.rand(1, 3, 6, 64, 64))
    deviation = (frames[0].var(dim=0, correction=0) + 1e-5).sqrt()
    expected = torch.cat([frames[0].mean(dim=0), deviation, frames[0].amax(dim=0)])
    torch.testing.assert_close(pooled[0][0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(64, 44), (9, 10), (1, 1), (129, 7)])
def test_spectrogram_of_any_size(shape):
    assert SmallSpectrogramEncoder(embedding=40)(torch.randn(2, 1, *shape)).shape == (2, 40)


@torch.no_grad()
def test_spectrogram_level_survives_normalisation():
    """Loudness shifts a log-spectrogram by a constant; at the embedding the shift must still be linear in it."""
    encoder = SmallSpectrogramEncoder().eval()
    x = torch.randn(1, 1, 65, 40)
    base, once, twice = (encoder(x + shift) for shift in (0.0, 50.0, 100.0))
    assert (once - base).norm() > 1
    torch.testing.assert_close((twice - once).norm(), (once - base).norm(), rtol=0.2, atol=0)
