"""Residual networks of four stages, basic blocks or bottlenecks, with the parameter names of torchvision."""

from __future__ import annotations

from torch import Tensor, nn

from ticketlab.models.classifying import Classifier
from ticketlab.models.initialise import Draw, constant, framework_default, kaiming_normal


def scheme(layer: nn.Module) -> tuple[Draw, Draw]:
    """How each kind of layer starts: Kaiming-normal (fan out) convolutions, linear layers as torch has them."""
    if isinstance(layer, nn.BatchNorm2d):
        return constant(1.0), constant(0.0)
    return framework_default(layer) if isinstance(layer, nn.Linear) else (kaiming_normal("out"), constant(0.0))


class BasicBlock(nn.Module):
    """(B, entering, H, W) -> (B, width, H / stride, W / stride): two 3x3 convolutions around a shortcut."""

    expansion = 1

    def __init__(self, entering: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(entering, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = projection(entering, width, stride)
        self.relu2 = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """The block's maps, height and width rounded up."""
        residual = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(maps)))))
        out: Tensor = self.relu2(residual + self.downsample(maps))
        return out


class Bottleneck(nn.Module):
    """(B, entering, H, W) -> (B, 4 width, H / stride, W / stride): 1x1, 3x3 and 1x1 convolutions around a shortcut.

    The stride is on the 3x3 convolution: version 1.5 of the network.
    """

    expansion = 4

    def __init__(self, entering: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(entering, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = projection(entering, 4 * width, stride)
        self.relu3 = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """The block's maps, height and width rounded up."""
        inner = self.relu1(self.bn1(self.conv1(maps)))
        inner = self.relu2(self.bn2(self.conv2(inner)))
        out: Tensor = self.relu3(self.bn3(self.conv3(inner)) + self.downsample(maps))
        return out


def projection(entering: int, leaving: int, stride: int) -> nn.Sequential:
    """The shortcut: a 1x1 convolution with batch normalisation where the shape changes, else nothing."""
    if stride == 1 and entering == leaving:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(entering, leaving, 1, stride, bias=False), nn.BatchNorm2d(leaving))


Kind = type[BasicBlock] | type[Bottleneck]

DEPTHS: dict[int, tuple[Kind, tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
"""Kind of block, and blocks of each stage, by depth; He et al. 2016, table 1."""


class StagedTrunk(nn.Module):
    """Images -> maps (B, `wide`, H, W) of the last of four stages.

    `conv1` is the stem; with batch normalisation, ReLU and `maxpool` it makes maps of `conv1.out_channels` channels.
    Stages are 1, 2, 4 and 8 times as wide inside their blocks. The first has stride 1; each later one halves height
    and width, except that the last `dilated` of them dilate their convolutions instead: twice as far for each stage
    that keeps its size, beginning with the stage's second block.
    """

    def __init__(self, conv1: nn.Conv2d, maxpool: nn.Module, depth: int, dilated: int = 0) -> None:
        super().__init__()
        self._kind, counts = DEPTHS[depth]
        width = conv1.out_channels
        self.conv1 = conv1
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = maxpool
        self.wide, self._dilation = width, 1
        self.layer1 = self._stage(width, counts[0], 1, dilate=False)
        self.layer2 = self._stage(2 * width, counts[1], 2, dilate=dilated > 2)
        self.layer3 = self._stage(4 * width, counts[2], 2, dilate=dilated > 1)
        self.layer4 = self._stage(8 * width, counts[3], 2, dilate=dilated > 0)

    def _stage(self, width: int, count: int, stride: int, dilate: bool) -> nn.Sequential:
        before = self._dilation
        if dilate:
            self._dilation, stride = before * stride, 1
        first = self._kind(self.wide, width, stride, before)
        self.wide = width * self._kind.expansion
        rest = (self._kind(self.wide, width, 1, self._dilation) for _ in range(count - 1))
        return nn.Sequential(first, *rest)

    def stem(self, images: Tensor) -> Tensor:
        """Images (B, C, S, S) -> the maps that enter the first stage."""
        maps: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        return maps

    def trunk(self, images: Tensor) -> Tensor:
        """Images (B, C, S, S) -> maps of the last stage (B, wide, H, W)."""
        maps: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(images)))))
        return maps


class StagedClassifier(StagedTrunk, Classifier):
    """Images (B, C, S, S) -> logits (B, classes): spatial means of the last stage's maps, a linear layer."""

    def __init__(self, conv1: nn.Conv2d, maxpool: nn.Module, depth: int, classes: int) -> None:
        super().__init__(conv1, maxpool, depth)
        self.fc = nn.Linear(self.wide, classes)

    def features(self, images: Tensor) -> Tensor:
        """Images -> spatial means of the last stage (B, wide)."""
        return self.trunk(images).mean((2, 3))
