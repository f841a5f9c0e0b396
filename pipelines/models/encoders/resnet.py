"""ResNet-18 (He et al., arXiv 1512.03385) with torchvision's state-dict keys.

The image encoder of spectrograms: one input channel there, three for ImageNet weights. `load_weights` sums a published
first convolution over its input channels where the network has one, which equals repeating the channel three times.
"""

import torch
from torch import nn

WIDTH = 512


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, H, W) -> (B, channels, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet(nn.Module):
    """ResNet-18: a residual network of basic blocks.

    Args:
        in_channels: channels of the image, 1 for a spectrogram.
        num_outputs: width of the last linear layer `fc`, or None for the pooled 512-d vector.
    """

    def __init__(self, *, in_channels: int = 3, num_outputs: int | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, WIDTH, 2), BasicBlock(WIDTH, WIDTH, 1))
        self.fc = None if num_outputs is None else nn.Linear(WIDTH, num_outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images (B, in_channels, H, W) -> (B, 512), or (B, num_outputs)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        pooled = x.mean(dim=(2, 3))
        return pooled if self.fc is None else self.fc(pooled)


def resnet_18(in_channels: int = 3, num_outputs: int | None = None) -> ResNet:
    """ResNet-18 with fresh weights; `load_weights` fills in published ones.

    Args:
        in_channels: channels of the image, 1 for a spectrogram.
        num_outputs: 1000 for ImageNet; None drops `fc` and returns the pooled 512-d vector.
    """
    return ResNet(in_channels=in_channels, num_outputs=num_outputs)
