"""Residual networks of four stages for small images: Tiny-ImageNet at 64 pixels, CIFAR at 32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ticketlab.models.build import Blueprint
from ticketlab.models.released_names import ReleasedNames
from ticketlab.models.residual_stages import StagedClassifier, scheme

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.model import TinyResnet


def blueprint(options: TinyResnet, shape: ImageShape) -> Blueprint:
    """`classifier`: a 3x3 stem of stride 1, no max-pool.

    Starts with Kaiming-normal (fan out, gain sqrt 2) convolutions and a linear layer as torch has it.
    """
    stem = nn.Conv2d(shape.channels, options.width, 3, padding=1, bias=False)
    return Blueprint({"classifier": SmallImageClassifier(stem, nn.Sequential(), options.depth, shape.classes)}, scheme)


class SmallImageClassifier(StagedClassifier):
    """The residual network of four stages whose released form has no name for its batch normalisation."""

    # There `conv1.1`, `conv2_x.0.residual_function.1`, and `fc`.
    released = ReleasedNames(bn=False, fc=True)
