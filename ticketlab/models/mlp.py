"""Fully connected ReLU networks on flattened pixels."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.models.build import Blueprint
from ticketlab.models.classifying import Classifier
from ticketlab.models.initialise import Draw, constant, xavier_normal
from ticketlab.models.released_names import ReleasedNames

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.model import Mlp


def blueprint(options: Mlp, shape: ImageShape) -> Blueprint:
    """`classifier`; starts with Xavier-normal weights and zero biases.

    The released LotteryTicket example draws biases from N(0, 1), far above the scale of the activations: a quirk, to be
    had by `init: {kind: xavier_normal, bias: normal}`.
    """
    widths = (shape.channels * shape.size**2, *options.hidden)
    return Blueprint({"classifier": Perceptron(widths, shape.classes, options.bias)}, scheme)


def scheme(_: nn.Module) -> tuple[Draw, Draw]:
    """How every layer starts: weight, bias."""
    return xavier_normal(), constant(0.0)


def hidden_layers(widths: tuple[int, ...], bias: bool = True) -> nn.Sequential:
    """Linear, ReLU, linear, ReLU, ...: (B, widths[0]) -> (B, widths[-1])."""
    layers: list[nn.Module] = []
    for wide, next_wide in pairwise(widths):
        layers += [nn.Linear(wide, next_wide, bias), nn.ReLU()]
    return nn.Sequential(*layers)


class Perceptron(Classifier):
    """Images (B, C, S, S) -> logits (B, classes); `widths` begins with the C S S inputs."""

    # There one sequence of layers, which have numbers for names.
    released = ReleasedNames(bn=True, fc=False)

    def __init__(self, widths: tuple[int, ...], classes: int, bias: bool) -> None:
        super().__init__()
        self.hidden = hidden_layers(widths, bias)
        self.fc = nn.Linear(widths[-1], classes, bias)

    def features(self, images: Tensor) -> Tensor:
        """Images -> activations of the last hidden layer (B, widths[-1])."""
        activations: Tensor = self.hidden(images.flatten(1))
        return activations
