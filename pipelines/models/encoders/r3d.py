"""R3D-18 (Tran et al., arXiv 1711.11248) with torchvision's state-dict keys.

Written here because torchvision is no dependency; the keys are its, so that published Kinetics-400 weights load from a
file. Without `num_outputs` there is no last linear layer and the network ends in its pooled 512-d vector, which is what
the embedding cache stores.
"""

import torch
from torch import nn

WIDTH = 512


class BasicBlock(nn.Module):
    """Two 3x3x3 convolutions and a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv3d(in_channels, channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
        )
        self.conv2 = nn.Sequential(nn.Conv3d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm3d(channels))
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv3d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm3d(channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, T, H, W) -> (B, channels, T/stride, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.conv2(self.conv1(x)) + shortcut)


class VideoResNet(nn.Module):
    """R3D-18: a spatio-temporal ResNet of basic blocks.

    Args:
        num_outputs: width of the last linear layer `fc`, or None for the pooled 512-d vector.
    """

    def __init__(self, num_outputs: int | None = None) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 64, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        )
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, WIDTH, 2), BasicBlock(WIDTH, WIDTH, 1))
        self.fc = None if num_outputs is None else nn.Linear(WIDTH, num_outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Frames (B, 3, T, H, W), normalised as the weights expect -> (B, 512), or (B, num_outputs)."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        pooled = x.mean(dim=(2, 3, 4))
        return pooled if self.fc is None else self.fc(pooled)


def r3d_18(num_outputs: int | None = None) -> VideoResNet:
    """R3D-18 with fresh weights; `load_weights` fills in published ones.

    Args:
        num_outputs: 400 for Kinetics-400; None drops `fc` and returns the pooled 512-d vector.
    """
    return VideoResNet(num_outputs)
