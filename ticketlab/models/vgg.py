"""CIFAR VGG networks with batch normalisation, in the form the lottery papers prune: convolutions and one linear layer."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.errors import SpecError
from ticketlab.models.build import Blueprint
from ticketlab.models.classifying import Classifier
from ticketlab.models.released_names import ReleasedNames
from ticketlab.models.resnet import scheme

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.model import Vgg

CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""How many convolutions each of the five stages has, by depth; Simonyan and Zisserman 2015, table 1, A, B, D, E."""

WIDTHS = (1, 2, 4, 8, 8)
"""Channels of each stage, as multiples of the first."""


def blueprint(options: Vgg, shape: ImageShape) -> Blueprint:
    """`classifier`; starts with Kaiming-normal (fan in, gain sqrt 2) weights, linear ones too, and zero biases.

    Raises `SpecError` for images that are not 32 pixels wide.
    """
    if shape.size != 32:
        what = f"vgg works at 32 pixels, not {shape.size}"
        raise SpecError(what, where="data.size", mend="data.size: 32, or `kind: tiny_vgg`")
    return Blueprint({"classifier": CifarVgg(shape.channels, shape.classes, options.width, options.depth)}, scheme)


def stages(channels: int, width: int, depth: int) -> list[list[nn.Module]]:
    """The layers of the five stages: 3x3 convolutions with bias, each with batch normalisation and ReLU; no pooling."""
    widths = [width * times for times in WIDTHS]
    found = []
    for (entering, leaving), count in zip(pairwise([channels, *widths]), CONVOLUTIONS[depth], strict=True):
        layers: list[nn.Module] = []
        for into in (entering, *[leaving] * (count - 1)):
            layers += [nn.Conv2d(into, leaving, 3, padding=1), nn.BatchNorm2d(leaving), nn.ReLU()]
        found.append(layers)
    return found


class CifarVgg(Classifier):
    """Images (B, C, 32, 32) -> logits (B, classes).

    A max-pool after each stage but the last, whose 2x2 maps are averaged; a linear layer.
    """

    # There `layers.0.bn` and `fc`.
    released = ReleasedNames(bn=True, fc=True)

    def __init__(self, channels: int, classes: int, width: int, depth: int) -> None:
        super().__init__()
        *earlier, last = stages(channels, width, depth)
        pooled = [layer for stage in earlier for layer in (*stage, nn.MaxPool2d(2))]
        self.trunk = nn.Sequential(*pooled, *last, nn.AvgPool2d(2))
        self.fc = nn.Linear(width * WIDTHS[-1], classes)

    def features(self, images: Tensor) -> Tensor:
        """Images -> means of the last stage's 2x2 maps (B, 8 width)."""
        maps: Tensor = self.trunk(images)
        return maps.flatten(1)
