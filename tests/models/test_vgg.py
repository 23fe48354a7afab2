"""VGG networks have the layers, counts and starts of the papers that prune them."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import SpecError
from ticketlab.models.build import build
from ticketlab.models.cost import cost
from ticketlab.models.dropout import KeyedDropout
from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.spec.model import TinyVgg, Vgg

C10, C100, TINY = ImageShape(3, 32, 10), ImageShape(3, 32, 100), ImageShape(3, 64, 200)
CONVOLUTIONS = {11: 8, 13: 10, 16: 13, 19: 16}


def on_meta(options, shape):
    with torch.device("meta"):
        return build(options, shape, Key(0))["classifier"]


def counts(network):
    weights = prunable({"classifier": network}, ["classifier"], ["conv", "linear"]).values()
    return sum(w.parameter.numel() for w in weights), sum(p.numel() for p in network.parameters()), len(weights)


@pytest.mark.parametrize(
    ("options", "shape", "expected"),
    [
        (Vgg(depth=16), C10, (14_715_584, 14_728_266, 14)),
        (Vgg(depth=16), C100, (14_761_664, 14_774_436, 14)),
        (Vgg(depth=11), C10, (9_222_848, 9_231_114, 9)),
        (Vgg(depth=13), C10, (9_407_168, 9_416_010, 11)),
        (Vgg(depth=19), C10, (20_024_000, 20_040_522, 17)),
    ],
)
def test_cifar_vggs_have_the_published_counts(options, shape, expected):
    assert counts(on_meta(options, shape)) == expected


@pytest.mark.parametrize("depth", CONVOLUTIONS)
def test_the_tiny_imagenet_vgg_has_the_same_convolutions_and_three_linear_layers(depth):
    cifar, tiny = on_meta(Vgg(depth=depth), C10), on_meta(TinyVgg(depth=depth), TINY)
    assert [tuple(p.shape) for p in tiny.trunk.parameters()] == [tuple(p.shape) for p in cifar.trunk.parameters()]
    linear = [tuple(layer.weight.shape) for layer in tiny.modules() if isinstance(layer, nn.Linear)]
    assert linear == [(1024, 2048), (1024, 1024), (200, 1024)]
    prunable_here, trainable, tensors = counts(tiny)
    head = 2048 * 1024 + 1024 * 1024 + 1024 * 200
    assert prunable_here == counts(cifar)[0] - 5120 + head
    assert trainable == counts(cifar)[1] - 5130 + head + 1024 + 1024 + 200
    assert tensors == CONVOLUTIONS[depth] + 3 == depth


@pytest.mark.parametrize("depth", CONVOLUTIONS)
@pytest.mark.parametrize("width", [1, 48])
def test_any_width_multiplies_every_stage(depth, width):
    network = on_meta(Vgg(depth=depth, width=width), C10)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == CONVOLUTIONS[depth]
    assert sorted({layer.out_channels // width for layer in convolutions}) == [1, 2, 4, 8]
    assert all(one.out_channels == other.in_channels for one, other in pairwise(convolutions))
    assert all(
        (layer.kernel_size, layer.padding, layer.bias is not None) == ((3, 3), (1, 1), True) for layer in convolutions
    )


def test_every_convolution_is_followed_by_normalisation_and_a_relu_of_its_own():
    kinds = [type(layer).__name__ for layer in on_meta(Vgg(depth=11), C10).trunk]
    unit = ["Conv2d", "BatchNorm2d", "ReLU"]
    one, two = [*unit, "MaxPool2d"], [*unit, *unit, "MaxPool2d"]
    assert kinds == [*one, *one, *two, *two, *two[:-1], "AvgPool2d"]
    relus = [layer for layer in on_meta(TinyVgg(depth=11), TINY).modules() if isinstance(layer, nn.ReLU)]
    assert len(relus) == len(set(map(id, relus))) == 10


def test_maps_shrink_as_the_papers_say():
    seen = []
    network = on_meta(Vgg(), C10).eval()
    for layer in network.trunk:
        if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            layer.register_forward_hook(lambda *call: seen.append(tuple(call[-1].shape[1:])))
    assert network(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)
    assert seen == [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2), (512, 1, 1)]
    assert cost({"classifier": network}, C10)["classifier"].multiply_adds == 313_201_664


@pytest.mark.parametrize(
    ("options", "shape", "wide"),
    [
        (Vgg(depth=11, width=3), ImageShape(1, 32, 7), 24),
        (TinyVgg(depth=11, width=3, hidden=9), ImageShape(3, 32, 7), 9),
        (TinyVgg(depth=13, width=2, hidden=9), ImageShape(1, 96, 7), 9),
    ],
)
def test_logits_are_the_head_of_the_features(options, shape, wide):
    network = build(options, shape, Key(1))["classifier"].eval()
    images = torch.randn(2, shape.channels, shape.size, shape.size)
    before = images.clone()
    features = network.features(images)
    assert features.shape == (2, wide)
    assert torch.equal(network.head(features), network(images))
    assert network(images).shape == (2, 7)
    assert torch.equal(images, before)


@pytest.mark.parametrize(
    ("options", "size"), [(Vgg(), 64), (Vgg(), 28), (TinyVgg(), 0), (TinyVgg(), 16), (TinyVgg(), 48)]
)
def test_images_of_another_size_are_refused(options, size):
    with pytest.raises(SpecError, match="32"):
        build(options, ImageShape(3, size, 10), Key(0))
    assert size not in options.sizes


@pytest.mark.parametrize("options", [Vgg(), TinyVgg()])
def test_the_sizes_a_spec_may_ask_for_are_built(options):
    assert 32 in options.sizes
    for size in options.sizes:
        network = on_meta(options, ImageShape(3, size, 10)).eval()
        assert network(torch.empty(1, 3, size, size, device="meta")).shape == (1, 10)


def test_starts_are_those_of_the_papers():
    for options, shape in ((Vgg(depth=11, width=16), C10), (TinyVgg(depth=11, width=16, hidden=128), TINY)):
        network = build(options, shape, Key(2))["classifier"]
        for name, layer in network.named_modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert bool((layer.weight == 1).all())
            elif not isinstance(layer, nn.Conv2d | nn.Linear):
                continue
            elif isinstance(options, Vgg):
                expected = math.sqrt(2 / layer.weight[0].numel())
            elif isinstance(layer, nn.Linear):
                expected = 0.01
            else:
                expected = math.sqrt(2 / (9 * layer.out_channels))
            assert not layer.bias.any()
            if not isinstance(layer, nn.BatchNorm2d):
                close = 4 / math.sqrt(layer.weight.numel())
                assert layer.weight.std().item() == pytest.approx(expected, rel=close), name


def test_dropout_follows_both_hidden_layers_with_the_share_asked_for():
    hidden = list(on_meta(TinyVgg(dropout=0.25), TINY).hidden)
    assert [type(layer).__name__ for layer in hidden] == ["Linear", "ReLU", "KeyedDropout"] * 2
    assert [layer.share for layer in hidden if isinstance(layer, KeyedDropout)] == [0.25, 0.25]
    assert not any(isinstance(layer, KeyedDropout) for layer in on_meta(Vgg(), C10).modules())
