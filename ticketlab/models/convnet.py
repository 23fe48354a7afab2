"""Three strided convolutions and a linear head: the lab's own small classifier and feature extractor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.models.build import Blueprint
from ticketlab.models.classifying import Classifier
from ticketlab.models.released_names import ReleasedNames
from ticketlab.models.resnet import scheme

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.model import Convnet


def blueprint(options: Convnet, shape: ImageShape) -> Blueprint:
    """`classifier`; starts with Kaiming-normal (fan in, gain sqrt 2) weights and zero biases."""
    return Blueprint({"classifier": StridedNetwork(shape.channels, shape.classes, options.width)}, scheme)


class StridedNetwork(Classifier):
    """Images (B, C, S, S) -> logits (B, classes); three times 3x3 stride 2, batch normalisation, ReLU."""

    # The lab's own: by kind of layer.
    released = ReleasedNames(bn=True, fc=False)

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for entering, leaving in zip((channels, *widths), widths, strict=False):
            layers += [
                nn.Conv2d(entering, leaving, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(leaving),
                nn.ReLU(),
            ]
        self.trunk = nn.Sequential(*layers)
        self.fc = nn.Linear(widths[-1], classes)

    def features(self, images: Tensor) -> Tensor:
        """Images -> spatial means of the last convolution's activations (B, 4 width)."""
        maps: Tensor = self.trunk(images)
        return maps.mean((2, 3))
