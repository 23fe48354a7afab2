"""Tiny-ImageNet VGG networks: five max-pools and two hidden linear layers with dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.errors import SpecError
from ticketlab.models.build import Blueprint
from ticketlab.models.classifying import Classifier
from ticketlab.models.dropout import KeyedDropout
from ticketlab.models.initialise import Draw, constant, kaiming_normal, normal
from ticketlab.models.released_names import ReleasedNames
from ticketlab.models.vgg import WIDTHS, stages

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.model import TinyVgg


def blueprint(options: TinyVgg, shape: ImageShape) -> Blueprint:
    """`classifier`; starts with Kaiming-normal (fan out) convolutions, linear weights N(0, 0.01^2) and zero biases.

    Raises `SpecError` for images whose side is not a multiple of 32 pixels.
    """
    if not shape.size or shape.size % 32:
        what = f"five max-pools halve a multiple of 32 pixels, not {shape.size}"
        raise SpecError(what, where="data.size", mend="data.size: 64")
    return Blueprint({"classifier": PooledVgg(options, shape)}, scheme)


def scheme(layer: nn.Module) -> tuple[Draw, Draw]:
    """How each kind of layer starts: weight, bias."""
    if isinstance(layer, nn.BatchNorm2d):
        return constant(1.0), constant(0.0)
    return (normal(0.0, 0.01) if isinstance(layer, nn.Linear) else kaiming_normal("out")), constant(0.0)


class PooledVgg(Classifier):
    """Images (B, C, S, S) -> logits (B, classes): a max-pool after each of five stages, three linear layers."""

    # There `features.1` and `classifier.6`.
    released = ReleasedNames(bn=False, fc=False)

    def __init__(self, options: TinyVgg, shape: ImageShape) -> None:
        super().__init__()
        found = stages(shape.channels, options.width, options.depth)
        self.trunk = nn.Sequential(*(layer for stage in found for layer in (*stage, nn.MaxPool2d(2))))
        self.hidden = nn.Sequential(
            nn.Linear(options.width * WIDTHS[-1] * (shape.size // 32) ** 2, options.hidden),
            nn.ReLU(),
            KeyedDropout(options.dropout),
            nn.Linear(options.hidden, options.hidden),
            nn.ReLU(),
            KeyedDropout(options.dropout),
        )
        self.fc = nn.Linear(options.hidden, shape.classes)

    def features(self, images: Tensor) -> Tensor:
        """Images -> activations of the last hidden layer (B, hidden)."""
        maps: Tensor = self.trunk(images)
        activations: Tensor = self.hidden(maps.flatten(1))
        return activations
