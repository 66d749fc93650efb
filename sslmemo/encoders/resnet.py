"""Residual networks with a stem that suits the image's size.

He et al., Deep residual learning for image recognition, CVPR 2016. Below 64 px the stem is one 3x3
convolution without pooling, as SimCLR does on CIFAR-10: the ImageNet stem would throw away a
sixteenth of a small image's pixels before the first block.
"""

from __future__ import annotations

from torch import nn

from .convnet import image_channels

__all__ = ["resnet18"]


class _BasicBlock(nn.Module):
    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
        if stride != 1 or before != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x):  # (b, before, h, w) -> (b, width, h / stride, w / stride)
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def _stem(channels, width, size):
    if size < 64:
        return [
            nn.Conv2d(channels, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
        ]
    return [
        nn.Conv2d(channels, width, 7, 2, 3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]


def resnet18(shape, width=64):
    """ResNet-18: four stages of two basic blocks, then a mean; representation of length 8 `width`.

    Parameters
    ----------
    shape : tuple of int
        (c, h, w) of one image.
    width : int, default=64
        Channels of the first stage.
    """
    layers = _stem(image_channels(shape, "resnet18"), width, min(shape[1:]))
    before = width
    for stage in range(4):
        for block in range(2):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(_BasicBlock(before, width * 2**stage, stride))
            before = width * 2**stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
