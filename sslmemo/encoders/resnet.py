"""Residual networks with a stem that suits the image's size.

He et al., Deep residual learning for image recognition, CVPR 2016. Below 64 px the stem is one 3x3
convolution without pooling, as SimCLR does on CIFAR-10: the ImageNet stem would throw away a
sixteenth of a small image's pixels before the first block.
"""

from __future__ import annotations

from torch import nn

from .convnet import image_channels

__all__ = ["resnet9", "resnet18", "resnet34", "resnet50"]


class _BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = _shortcut(before, width, stride)

    def forward(self, x):  # (b, before, h, w) -> (b, width, h / stride, w / stride)
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class _Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = _shortcut(before, 4 * width, stride)

    def forward(self, x):  # (b, before, h, w) -> (b, 4 width, h / stride, w / stride)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


def _shortcut(before, after, stride):
    if stride == 1 and before == after:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))


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


def _resnet(name, shape, width, block, counts):
    """Four stages of blocks, halving the image before each but the first, then a mean."""
    layers = _stem(image_channels(shape, name), width, min(shape[1:]))
    before = width
    for stage, count in enumerate(counts):
        for i in range(count):
            stride = 2 if stage > 0 and i == 0 else 1
            layers.append(block(before, width * 2**stage, stride))
            before = block.expansion * width * 2**stage
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def resnet9(shape, width=64):
    """ResNet-9: a stem and three 3x3 layers, a residual pair after the first and the last; then a mean.

    The network of Page's "How to train your ResNet" (2018), in which the localization of
    memorization is studied (arXiv:2409.19069); representation of length 8 `width`.

    Parameters
    ----------
    shape : tuple of int
        (c, h, w) of one image.
    width : int, default=64
        Channels of the stem; each layer doubles them and halves the image.
    """
    layers = _stem(image_channels(shape, "resnet9"), width, min(shape[1:]))
    size = min(shape[1:]) if min(shape[1:]) < 64 else min(shape[1:]) // 4
    for after, residual in ((2 * width, True), (4 * width, False), (8 * width, True)):
        layers += [
            nn.Conv2d(after // 2, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
        if size >= 2:
            layers.append(nn.MaxPool2d(2))
            size //= 2
        if residual:
            layers.append(_Added(after))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class _Added(nn.Sequential):
    """Two rectified 3x3 convolutions, added to their input."""

    def __init__(self, width):
        super().__init__(*_stem(width, width, 1), *_stem(width, width, 1))

    def forward(self, x):  # (b, width, h, w) -> the same
        return x + super().forward(x)


def resnet18(shape, width=64):
    """ResNet-18: two basic blocks a stage; representation of length 8 `width`.

    Parameters
    ----------
    shape : tuple of int
        (c, h, w) of one image.
    width : int, default=64
        Channels of the first stage.
    """
    return _resnet("resnet18", shape, width, _BasicBlock, (2, 2, 2, 2))


def resnet34(shape, width=64):
    """ResNet-34: 3, 4, 6 and 3 basic blocks; representation of length 8 `width`.

    Parameters
    ----------
    shape : tuple of int
        (c, h, w) of one image.
    width : int, default=64
        Channels of the first stage.
    """
    return _resnet("resnet34", shape, width, _BasicBlock, (3, 4, 6, 3))


def resnet50(shape, width=64):
    """ResNet-50: 3, 4, 6 and 3 bottlenecks, the stride in the 3x3; representation of length 32 `width`.

    Parameters
    ----------
    shape : tuple of int
        (c, h, w) of one image.
    width : int, default=64
        Channels inside the first stage's bottlenecks.
    """
    return _resnet("resnet50", shape, width, _Bottleneck, (3, 4, 6, 3))
