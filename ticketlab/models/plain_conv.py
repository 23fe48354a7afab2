"""Convolutions without pooling and one linear layer: the small convolutional network released with SynFlow."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.models.build import Blueprint
from ticketlab.models.classifying import Classifier
from ticketlab.models.initialise import framework_default
from ticketlab.models.released_names import ReleasedNames

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.model import PlainConv


def blueprint(options: PlainConv, shape: ImageShape) -> Blueprint:
    """`classifier`; starts as torch starts convolutions and linear layers, which the released code leaves as it is."""
    return Blueprint({"classifier": PlainConvolutions(shape, options.channels)}, framework_default)


class PlainConvolutions(Classifier):
    """Images (B, C, S, S) -> logits (B, classes); every convolution is 3x3 with a border of one pixel, and ReLU."""

    # There one sequence of layers, which have numbers for names.
    released = ReleasedNames(bn=True, fc=False)

    def __init__(self, shape: ImageShape, channels: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for entering, leaving in pairwise((shape.channels, *channels)):
            layers += [nn.Conv2d(entering, leaving, 3, padding=1), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.fc = nn.Linear(channels[-1] * shape.size**2, shape.classes)

    def features(self, images: Tensor) -> Tensor:
        """Images -> the last convolution's activations at all places (B, channels[-1] S S)."""
        maps: Tensor = self.trunk(images)
        return maps.flatten(1)
