"""The tagger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from ticketlab.models.build import Blueprint
from ticketlab.models.initialise import framework_default

if TYPE_CHECKING:
    from attributes import Tagger
    from ticketlab.datasets.shape import ImageShape


def blueprint(options: Tagger, shape: ImageShape) -> Blueprint:
    pixels = shape.channels * shape.size**2
    return Blueprint({"tagger": nn.Sequential(nn.Flatten(), nn.Linear(pixels, shape.classes))}, framework_default)
