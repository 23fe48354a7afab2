"""Two convolutions, a max-pool and hidden linear layers: the small convolutional network of the lottery papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from ticketlab.models.build import Blueprint
from ticketlab.models.classifying import Classifier
from ticketlab.models.mlp import hidden_layers, scheme
from ticketlab.models.released_names import ReleasedNames

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.spec.model import Lenet


def blueprint(options: Lenet, shape: ImageShape) -> Blueprint:
    """`classifier`; starts with Xavier-normal weights and zero biases.

    The released LotteryTicket example draws biases from N(0, 1), far above the scale of the activations: a quirk, to be
    had by `init: {kind: xavier_normal, bias: normal}`.
    """
    return Blueprint({"classifier": Lenet2(shape, options.channels, options.hidden)}, scheme)


class Lenet2(Classifier):
    """Images (B, C, S, S) -> logits (B, classes)."""

    # There one sequence of layers, which have numbers for names.
    released = ReleasedNames(bn=True, fc=False)

    def __init__(self, shape: ImageShape, channels: tuple[int, int], hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(shape.channels, channels[0], 3, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels[0], channels[1], 3, padding=1)
        self.relu2 = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.hidden = hidden_layers((channels[1] * (shape.size // 2) ** 2, *hidden))
        self.fc = nn.Linear(hidden[-1], shape.classes)

    def features(self, images: Tensor) -> Tensor:
        """Images -> activations of the last hidden layer (B, hidden[-1])."""
        maps = self.pool(self.relu2(self.conv2(self.relu1(self.conv1(images)))))
        activations: Tensor = self.hidden(maps.flatten(1))
        return activations
