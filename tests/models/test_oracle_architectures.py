"""Our families contain the small networks of the oracle set: same layers, same order of prunable weights."""

import pytest
import torch
from torch import nn

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.prunable import prunable
from ticketlab.models.vgg import stages
from ticketlab.randomness import Key
from ticketlab.spec.model import Lenet, Mlp, Resnet

MLP = [(24, 48), (24, 24), (10, 24)]
LOTTERY_TICKET = [(6, 1, 3, 3), (6, 6, 3, 3), (24, 96), (10, 24)]
LOTTERY_RESNET = [
    (8, 3, 3, 3),
    (8, 8, 3, 3),
    (8, 8, 3, 3),
    (16, 8, 3, 3),
    (16, 16, 3, 3),
    (16, 8, 1, 1),
]


def weights_of(options, shape):
    with torch.device("meta"):
        networks = build(options, shape, Key(0))
    return {
        name.removeprefix("classifier."): tuple(weight.parameter.shape)
        for name, weight in prunable(networks, ["classifier"], ["conv", "linear"]).items()
    }


@pytest.mark.parametrize(
    ("options", "shape", "expected"),
    [
        (Mlp(hidden=(24, 24)), ImageShape(3, 4, 10), MLP),
        (Lenet(channels=(6, 6), hidden=(24,)), ImageShape(1, 8, 10), LOTTERY_TICKET),
    ],
)
def test_fully_connected_and_lenet_networks_have_the_oracles_weights_in_order(options, shape, expected):
    assert list(weights_of(options, shape).values()) == expected


def test_the_cifar_residual_network_has_the_oracles_names_shapes_and_order():
    """`lottery_resnet_small` is its stem and first two blocks, the second with a projection."""
    found = weights_of(Resnet(depth=8, width=8), ImageShape(3, 8, 10))
    assert list(found.values())[:6] == LOTTERY_RESNET
    assert list(found)[:6] == [
        "conv.weight",
        "blocks.0.conv1.weight",
        "blocks.0.conv2.weight",
        "blocks.1.conv1.weight",
        "blocks.1.conv2.weight",
        "blocks.1.shortcut.0.weight",
    ]
    assert list(found)[-1] == "fc.weight"


def test_a_vgg_begins_with_the_oracles_two_convolutions():
    """`vgg_small` is the first two stages of VGG-11 at width 8: convolution with bias, normalisation, ReLU."""
    first, second = stages(3, 8, 11)[:2]
    for (conv, norm, relu), entering, leaving in ((first, 3, 8), (second, 8, 16)):
        assert repr(conv) == repr(nn.Conv2d(entering, leaving, 3, padding=1))
        assert repr(norm) == repr(nn.BatchNorm2d(leaving))
        assert isinstance(relu, nn.ReLU)
