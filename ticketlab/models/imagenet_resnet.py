"""ImageNet residual networks, version 1.5: the layout and parameter names of torchvision's, so that its weights fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ticketlab.models.build import Blueprint
from ticketlab.models.residual_stages import StagedClassifier, scheme

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.model import ImagenetResnet


def blueprint(options: ImagenetResnet, shape: ImageShape) -> Blueprint:
    """`classifier`: a 7x7 stem of stride 2, a 3x3 max-pool of stride 2; maps end 32 times smaller than the image.

    Starts with Kaiming-normal (fan out, gain sqrt 2) convolutions and a linear layer as torch has it. Unlike
    torchvision's own, every ReLU is a module of its own.
    """
    network = StagedClassifier(*stem(shape.channels, options.width), options.depth, shape.classes)
    return Blueprint({"classifier": network}, scheme)


def stem(channels: int, width: int) -> tuple[nn.Conv2d, nn.Module]:
    """The first convolution and the pooling after it."""
    return nn.Conv2d(channels, width, 7, 2, padding=3, bias=False), nn.MaxPool2d(3, 2, padding=1)
