"""Small encoders for CPUs: face clips and spectrograms.

- The video stem reduces 112 x 112 to 28 x 28 at once: everything after costs a sixteenth.
- Pain is a movement, identity is not. Every frame's features stand beside their difference from the clip's mean, in
  which a face at rest cancels; standard deviation and maximum over time say how much moved, wherever in the window.
- GroupNorm, because batches are small and a prediction may not depend on its neighbours.
- Pooling keeps a coarse grid: a brow is not a mouth, a late rise is not an early one.
"""

import torch
from torch import nn

from pipelines.models.encoders.pooling import bin_means, standard_deviation

_FACE_GRID = 3
# A face moves little: differences are an order of magnitude below appearance, and unscaled they are learned from late.
_MOVEMENT_GAIN = 4.0
_SPECTROGRAM_GRID = 4


def _convolution(in_channels: int, channels: int) -> nn.Sequential:
    """Convolution that halves both sides, GroupNorm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, stride=2, padding=1, bias=False),
        nn.GroupNorm(4, channels),
        nn.ReLU(inplace=True),
    )


class SmallVideoEncoder(nn.Module):
    """Per-frame convolutions on appearance and movement, statistics over time.

    Args:
        embedding: width D of the result.
        dropout: on the pooled features, before the last projection.
    """

    def __init__(self, *, embedding: int = 512, dropout: float = 0.0) -> None:
        super().__init__()
        # Frame by frame; as a 3-D convolution it needs no copy of the clip with the axes swapped.
        self.stem = nn.Conv3d(3, 16, (1, 7, 7), stride=(1, 4, 4), padding=(0, 3, 3), bias=False)
        self.stem_norm = nn.Sequential(nn.GroupNorm(4, 16), nn.ReLU(inplace=True))
        self.body = nn.Sequential(_convolution(32, 32), _convolution(32, 64))
        self.frame = nn.Sequential(nn.Linear(64 * _FACE_GRID**2, 128), nn.ReLU(inplace=True))
        self.norm = nn.LayerNorm(3 * 128)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(3 * 128, embedding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Frames (B, 3, T, H, W), H and W at least 16 -> (B, D)."""
        batch, _, frames, _, _ = x.shape
        x = self.stem_norm(self.stem(x).transpose(1, 2).flatten(0, 1))
        clips = x.unflatten(0, (batch, frames))
        movement = _MOVEMENT_GAIN * (clips - clips.mean(dim=1, keepdim=True)).flatten(0, 1)
        x = self.body(torch.cat([x, movement], dim=1))
        x = bin_means(bin_means(x, _FACE_GRID, dim=3), _FACE_GRID, dim=2)
        x = self.frame(x.flatten(1)).unflatten(0, (batch, frames))
        mean = x.mean(dim=1)
        pooled = torch.cat([mean, standard_deviation((x * x).mean(dim=1), mean), x.amax(dim=1)], dim=1)
        return self.projection(self.dropout(self.norm(pooled)))


class SmallSpectrogramEncoder(nn.Module):
    """Three strided convolutions; the spectrogram's own level joins after them, since GroupNorm removes it.

    Args:
        embedding: width D of the result.
        dropout: on the pooled features, before the last projection.
    """

    def __init__(self, *, embedding: int = 512, dropout: float = 0.0) -> None:
        super().__init__()
        cells = _SPECTROGRAM_GRID**2
        self.body = nn.Sequential(_convolution(1, 16), _convolution(16, 32), _convolution(32, 64))
        self.norm = nn.LayerNorm(64 * (cells + 1))
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(64 * (cells + 1) + cells, embedding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Log-spectrograms (B, 1, F, T) of any size -> (B, D)."""
        features = self.body(x)
        mean = features.mean(dim=(2, 3))
        deviation = standard_deviation((features * features).mean(dim=(2, 3)), mean)
        pooled = self.norm(torch.cat([self._grid(features), deviation], dim=1))
        return self.projection(self.dropout(torch.cat([pooled, self._grid(x)], dim=1)))

    def _grid(self, x: torch.Tensor) -> torch.Tensor:
        return bin_means(bin_means(x, _SPECTROGRAM_GRID, dim=3), _SPECTROGRAM_GRID, dim=2).flatten(1)
