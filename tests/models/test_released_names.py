"""The released rules by name see of the lab's models what they saw of the released ones."""

from __future__ import annotations

import pytest
from torch import nn

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.released_names import named_in_release
from ticketlab.randomness import Key
from ticketlab.spec.model import (
    Convnet,
    ImagenetResnet,
    Lenet,
    Mlp,
    ModelChoice,
    PlainConv,
    Resnet,
    Sngan,
    TinyResnet,
    TinyVgg,
    Vgg,
)

NORMS = "every batch normalisation"
CASES: list[tuple[ModelChoice, str, bool]] = [
    (Mlp(), "none", False),
    (Lenet(), "none", False),
    (PlainConv(), "none", False),
    (Convnet(), NORMS, False),
    (Sngan(width=4), NORMS, False),
    (Resnet(depth=8), "all but shortcut.1", True),
    (ImagenetResnet(depth=18, width=4), "all but downsample.1", True),
    (TinyResnet(depth=18, width=4), "none", True),
    (Vgg(depth=11, width=4), NORMS, True),
    (TinyVgg(depth=11, width=4, hidden=8), "none", False),
]


@pytest.mark.parametrize(("model", "norms", "signed"), CASES, ids=lambda value: getattr(value, "name", None))
def test_layers_of_the_labs_models_are_named_as_in_the_release(model: ModelChoice, norms: str, signed: bool) -> None:
    network = next(iter(build(model, ImageShape(3, 32, 10), Key(0)).values()))
    every = {
        f"{path}.{name}"
        for path, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for name in module.state_dict()
    }
    but = norms.removeprefix("all but ")
    expected = set() if norms == "none" else {name for name in every if but == NORMS or f"{but}." not in name}
    assert named_in_release(network, "bn") == expected
    assert named_in_release(network, "fc") == ({"fc.weight", "fc.bias"} if signed else set())
