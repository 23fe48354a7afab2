"""Fully connected ReLU networks on flattened pixels."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ticketlab.models.initialise import Draw, constant, initialise, xavier_normal

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.randomness import Key
    from ticketlab.spec.model import Mlp


def build(options: Mlp, shape: ImageShape, key: Key) -> dict[str, nn.Module]:
    """`classifier` with initial values: Xavier-normal weights, zero biases.

    The released LotteryTicket example draws biases from N(0, 1), far above the scale of the activations: a quirk, left
    out here.
    """
    widths = (shape.channels * shape.size**2, *options.hidden)
    with torch.device("meta"):
        classifier = Perceptron(widths, shape.classes, options.bias)
    return initialise({"classifier": classifier}, scheme, key)


def scheme(_: nn.Module) -> tuple[Draw, Draw]:
    """How every layer starts: weight, bias."""
    return xavier_normal(), constant(0.0)


def hidden_layers(widths: tuple[int, ...], bias: bool = True) -> nn.Sequential:
    """Linear, ReLU, linear, ReLU, ...: (B, widths[0]) -> (B, widths[-1])."""
    layers: list[nn.Module] = []
    for wide, next_wide in pairwise(widths):
        layers += [nn.Linear(wide, next_wide, bias), nn.ReLU()]
    return nn.Sequential(*layers)


class Perceptron(nn.Module):
    """Images (B, C, S, S) -> logits (B, classes); `widths` begins with the C S S inputs."""

    def __init__(self, widths: tuple[int, ...], classes: int, bias: bool) -> None:
        super().__init__()
        self.hidden = hidden_layers(widths, bias)
        self.fc = nn.Linear(widths[-1], classes, bias)

    def features(self, images: Tensor) -> Tensor:
        """Images -> activations of the last hidden layer (B, widths[-1])."""
        activations: Tensor = self.hidden(images.flatten(1))
        return activations

    def head(self, features: Tensor) -> Tensor:
        """(B, widths[-1]) -> logits (B, classes)."""
        logits: Tensor = self.fc(features)
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, S, S) -> logits (B, classes)."""
        return self.head(self.features(images))
