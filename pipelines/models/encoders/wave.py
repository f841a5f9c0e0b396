"""A 1-D CNN on a filtered wave and its validity mask.

- One tensor in: the mask is the second channel, so that padding and interpolated gaps are visible to the first
  convolution and stay out of every average.
- Means over quarters of the window: when an EDA rises decides more than how it looks.
- Level and loudness of the wave itself join after the convolutions, because GroupNorm removes them and they carry the
  muscle's tension.
"""

import torch
from torch import nn

from pipelines.models.encoders.pooling import bin_means, standard_deviation

MIN_SAMPLES = 32
_BINS = 4
_CHANNELS = 128
_SUMMARY = _BINS + 2


def _convolution(in_channels: int, channels: int, kernel: int) -> nn.Sequential:
    """Convolution that halves the rate, GroupNorm, ReLU."""
    return nn.Sequential(
        nn.Conv1d(in_channels, channels, kernel, stride=2, padding=kernel // 2, bias=False),
        nn.GroupNorm(4, channels),
        nn.ReLU(inplace=True),
    )


class WaveEncoder(nn.Module):
    """Four convolutions, each halving the rate, then masked statistics over time.

    Args:
        embedding: width D of the result.
        dropout: on the pooled features, before the last projection.
    """

    def __init__(self, *, embedding: int = 512, dropout: float = 0.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(2, 32, 7), _convolution(32, 64, 5), _convolution(64, 64, 5), _convolution(64, _CHANNELS, 5)
        )
        self.norm = nn.LayerNorm(_CHANNELS * (_BINS + 2))
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(_CHANNELS * (_BINS + 2) + _SUMMARY, embedding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Wave and validity (B, 2, L), validity 1 or 0 -> (B, D); what the wave holds where it is invalid is ignored.

        Raises:
            ValueError: not two channels, or fewer than 32 samples.
        """
        if x.dim() != 3 or x.shape[1] != 2 or x.shape[2] < MIN_SAMPLES:
            raise ValueError(
                f"a wave batch is (B, 2, L) with wave and validity and L >= {MIN_SAMPLES}, not {tuple(x.shape)}"
            )
        valid = (x[:, 1:] > 0.5).to(x.dtype)
        wave = torch.where(valid.bool(), x[:, :1], 0)
        features = self.body(torch.cat([wave, valid], dim=1))
        pooled = self.norm(_pool(features, nn.functional.adaptive_avg_pool1d(valid, features.shape[2])))
        return self.projection(self.dropout(torch.cat([pooled, _summary(wave, valid)], dim=1)))


def _masked_bins(x: torch.Tensor, weight: torch.Tensor, bins: int) -> torch.Tensor:
    """Weighted means of (B, C, L) over equal parts of the time axis -> (B, C, bins); 0 where nothing is valid."""
    return bin_means(x * weight, bins, dim=2) / bin_means(weight, bins, dim=2).clamp_min(1e-6)


def _pool(features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Means a quarter, standard deviation and maximum of (B, C, L) over valid samples -> (B, C * 6)."""
    mean = _masked_bins(features, weight, 1)
    deviation = standard_deviation(_masked_bins(features * features, weight, 1), mean)
    # Features are rectified: zero is no larger than any of them, so it can stand for invalid ones.
    largest = (features * (weight > 0)).amax(dim=2, keepdim=True)
    return torch.cat([_masked_bins(features, weight, _BINS), deviation, largest], dim=2).flatten(1)


def _summary(wave: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Level a quarter, log-loudness of the wave and of its differences -> (B, 6)."""
    loudness = _masked_bins(wave * wave, valid, 1)
    differences = _masked_bins(wave.diff(dim=2) ** 2, valid[:, :, 1:] * valid[:, :, :-1], 1)
    # A floor of -60 dB keeps a flat line finite.
    logs = torch.cat([loudness, differences], dim=2).add(1e-6).log() / 2
    return torch.cat([_masked_bins(wave, valid, _BINS), logs], dim=2).flatten(1)
