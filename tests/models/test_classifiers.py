import math

import pytest
import torch
from torch import nn

from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import SpecError
from ticketlab.models.build import build
from ticketlab.randomness import Key
from ticketlab.spec.model import Convnet, Lenet, Mlp, PlainConv, Resnet

CIFAR, MNIST = ImageShape(3, 32, 10), ImageShape(1, 28, 10)
ALL = [
    (Mlp(hidden=(20, 12)), 12),
    (Mlp(hidden=(9,), bias=False), 9),
    (Lenet(channels=(4, 6), hidden=(20, 11)), 11),
    (PlainConv(channels=(4,)), None),
    (Resnet(depth=8, width=4), 16),
    (Convnet(width=3), 12),
]


def on_meta(options, shape):
    with torch.device("meta"):
        return build(options, shape, Key(0))["classifier"]


def count(network, keep=lambda name, parameter: True):
    return sum(parameter.numel() for name, parameter in network.named_parameters() if keep(name, parameter))


@pytest.mark.parametrize(("options", "wide"), ALL)
@pytest.mark.parametrize("shape", [CIFAR, MNIST, ImageShape(1, 9, 3)])
def test_logits_are_the_head_of_the_features(options, wide, shape):
    network = build(options, shape, Key(1))["classifier"].eval()
    images = torch.randn(2, shape.channels, shape.size, shape.size)
    features = network.features(images)
    assert features.shape == (2, wide or 4 * shape.size**2)
    assert network(images).shape == (2, shape.classes)
    assert torch.equal(network.head(features), network(images))


@pytest.mark.parametrize(("options", "wide"), ALL)
def test_images_are_left_as_they_were(options, wide):
    network = build(options, MNIST, Key(1))["classifier"]
    images = torch.randn(2, 1, 28, 28)
    before = images.clone()
    network(images)
    assert torch.equal(images, before)


def test_lenet_300_100_has_its_known_size():
    assert count(on_meta(Mlp(), MNIST)) == 266_610
    assert count(on_meta(Mlp(bias=False), MNIST)) == 784 * 300 + 300 * 100 + 100 * 10


def test_the_convolutional_lenet_has_the_layers_of_the_lottery_recipes():
    shapes = [tuple(p.shape) for p in on_meta(Lenet(), MNIST).parameters()]
    linear = [(256, 12544), (256,), (256, 256), (256,), (10, 256), (10,)]
    assert shapes == [(64, 1, 3, 3), (64,), (64, 64, 3, 3), (64,), *linear]


def test_the_small_networks_released_with_synflow_have_their_layers():
    """`conv`: 32 channels twice, all places into the linear layer; `fc`: six linear layers, 100 units between them."""
    conv = [tuple(p.shape) for p in on_meta(PlainConv(), MNIST).parameters()]
    assert conv == [(32, 1, 3, 3), (32,), (32, 32, 3, 3), (32,), (10, 32 * 28 * 28), (10,)]
    assert count(on_meta(PlainConv(), MNIST), lambda _, parameter: parameter.dim() > 1) == 260_384
    fc = [tuple(p.shape) for p in on_meta(Mlp(hidden=(100,) * 5), MNIST).parameters() if p.dim() > 1]
    assert fc == [(100, 784), *[(100, 100)] * 4, (10, 100)]
    assert sum(wide * deep for wide, deep in fc) == 119_400


def test_resnet20_has_the_published_counts():
    network = on_meta(Resnet(depth=20, width=16), CIFAR)
    assert count(network) == 272_474
    assert count(network, lambda _, parameter: parameter.dim() > 1) == 270_896
    assert sum(parameter.dim() > 1 for parameter in network.parameters()) == 22


@pytest.mark.parametrize(("depth", "width"), [(8, 4), (32, 16), (56, 16), (110, 2)])
def test_a_resnet_has_as_many_layers_as_its_depth_and_two_projections(depth, width):
    network = on_meta(Resnet(depth=depth, width=width), CIFAR)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert sum(layer.kernel_size == (3, 3) for layer in convolutions) == depth - 1
    projections = [layer for layer in convolutions if layer.kernel_size == (1, 1)]
    assert [(layer.in_channels, layer.out_channels, layer.stride) for layer in projections] == [
        (width, 2 * width, (2, 2)),
        (2 * width, 4 * width, (2, 2)),
    ]
    assert all(layer.bias is None for layer in convolutions)


@pytest.mark.parametrize("depth", [9, 18, 21, 51])
def test_a_depth_that_is_not_6n_plus_2_is_refused(depth):
    with pytest.raises(SpecError, match=r"6n\+2"):
        build(Resnet(depth=depth), CIFAR, Key(1))


def test_a_residual_block_adds_the_input_before_the_last_relu():
    block = build(Resnet(depth=8, width=4), CIFAR, Key(1))["classifier"].eval().blocks[0]
    with torch.no_grad():
        block.bn2.weight.zero_()
    maps = torch.randn(2, 4, 8, 8)
    assert torch.equal(block(maps), maps.clamp_min(0))


@pytest.mark.parametrize("options", [Resnet(depth=8, width=32), Convnet(width=32)])
def test_residual_and_strided_networks_start_kaiming_normal(options):
    for name, parameter in build(options, CIFAR, Key(2))["classifier"].named_parameters():
        if parameter.dim() > 1:
            expected = math.sqrt(2 / parameter[0].numel())
            assert parameter.std().item() == pytest.approx(expected, rel=4 / math.sqrt(parameter.numel())), name
        else:
            assert torch.equal(parameter, torch.full_like(parameter, 0.0 if name.endswith("bias") else 1.0)), name


@pytest.mark.parametrize("options", [Mlp(), Lenet(channels=(32, 32))])
def test_fully_connected_and_lenet_networks_start_xavier_normal_without_biases(options):
    for name, parameter in build(options, MNIST, Key(2))["classifier"].named_parameters():
        if parameter.dim() > 1:
            kernel = parameter[0, 0].numel()
            expected = math.sqrt(2 / (kernel * sum(parameter.shape[:2])))
            assert parameter.std().item() == pytest.approx(expected, rel=4 / math.sqrt(parameter.numel())), name
        else:
            assert not parameter.any(), name


def test_plain_convolutions_start_as_torch_starts_them():
    for name, parameter in build(PlainConv(), MNIST, Key(2))["classifier"].named_parameters():
        weight = name.replace("bias", "weight")
        bound = 1 / math.sqrt(dict(on_meta(PlainConv(), MNIST).named_parameters())[weight][0].numel())
        assert 0.8 * bound < parameter.abs().max().item() <= bound, name
