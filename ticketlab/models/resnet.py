"""CIFAR residual networks of depth 6n+2 with projection shortcuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.errors import SpecError
from ticketlab.models.build import Blueprint
from ticketlab.models.classifying import Classifier
from ticketlab.models.initialise import Draw, constant, kaiming_normal

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.model import Resnet


def blueprint(options: Resnet, shape: ImageShape) -> Blueprint:
    """`classifier`; starts with Kaiming-normal (fan in, gain sqrt 2) weights, linear ones too, and zero biases.

    Raises `SpecError` for a depth that is not 6n+2.
    """
    blocks, rest = divmod(options.depth - 2, 6)
    if rest or not blocks:
        nearest = 6 * max(1, round((options.depth - 2) / 6)) + 2
        what = f"a CIFAR ResNet has depth 6n+2, not {options.depth}"
        raise SpecError(what, where="model.depth", mend=f"depth: {nearest}")
    return Blueprint({"classifier": ResidualNetwork(shape.channels, shape.classes, options.width, blocks)}, scheme)


def scheme(layer: nn.Module) -> tuple[Draw, Draw]:
    """How each kind of layer starts: weight, bias."""
    return (constant(1.0) if isinstance(layer, nn.BatchNorm2d) else kaiming_normal("in")), constant(0.0)


class ResidualNetwork(Classifier):
    """Images (B, C, S, S) -> logits (B, classes): a 3x3 stem, three stages of `blocks` blocks, average pooling, linear.

    Stages are `width`, 2 `width` and 4 `width` channels wide; the second and third halve height and width.
    Source: He et al. 2016, arXiv 1512.03385, section 4.2, with shortcuts of option B.
    """

    def __init__(self, channels: int, classes: int, width: int, blocks: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        widths = [width << stage for stage in range(3) for _ in range(blocks)]
        self.blocks = nn.Sequential(*(Block(*pair) for pair in zip([width, *widths], widths, strict=False)))
        self.fc = nn.Linear(4 * width, classes)

    def features(self, images: Tensor) -> Tensor:
        """Images -> spatial means of the last block (B, 4 width)."""
        maps: Tensor = self.blocks(self.relu(self.bn(self.conv(images))))
        return maps.mean((2, 3))


class Block(nn.Module):
    """Two 3x3 convolutions with batch normalisation around an identity; a stride of 2 where the width changes."""

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        stride = 1 if entering == leaving else 2
        self.conv1 = nn.Conv2d(entering, leaving, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(leaving)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(leaving, leaving, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(leaving)
        self.shortcut = nn.Sequential()
        if stride == 2:
            self.shortcut.append(nn.Conv2d(entering, leaving, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(leaving))
        self.relu2 = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """(B, entering, S, S) -> (B, leaving, S / stride, S / stride), rounded up."""
        residual = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(maps)))))
        out: Tensor = self.relu2(residual + self.shortcut(maps))
        return out
