"""Residual networks of four stages are torchvision's, weight by weight and output by output, but for the small stem."""

import math

import pytest
import torch
import torchvision
from torch import nn

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.cost import cost
from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.spec.model import ImagenetResnet, Resnet, TinyResnet

C10, TINY, IMAGENET = ImageShape(3, 32, 10), ImageShape(3, 64, 200), ImageShape(3, 224, 1000)
DEPTHS = (18, 34, 50, 101, 152)


def on_meta(options, shape):
    with torch.device("meta"):
        return build(options, shape, Key(0))["classifier"]


def theirs(depth, **options):
    with torch.device("meta"):
        return getattr(torchvision.models, f"resnet{depth}")(weights=None, **options)


def shapes(network):
    return [(name, tuple(tensor.shape)) for name, tensor in network.state_dict().items()]


def filled(network):
    """The network with values everywhere, running statistics too, that keep deep activations in scale."""
    network = network.to_empty(device="cpu")
    source = torch.Generator().manual_seed(3)
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(1)
        elif tensor.dim() > 1:
            tensor.copy_(torch.randn(tensor.shape, generator=source) * math.sqrt(2 / tensor[0].numel()))
        else:
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=source))
    return network


@pytest.mark.parametrize(
    ("options", "shape", "expected"),
    [
        (TinyResnet(depth=18), TINY, (11_261_632, 11_271_432, 21)),
        (TinyResnet(depth=18), C10, (11_164_352, 11_173_962, 21)),
        (TinyResnet(depth=34), TINY, (21_362_368, 21_379_592, 37)),
        (TinyResnet(depth=50), TINY, (23_856_832, 23_910_152, 54)),
        (ImagenetResnet(depth=50), IMAGENET, (25_502_912, 25_557_032, 54)),
        (ImagenetResnet(depth=18), IMAGENET, (11_678_912, 11_689_512, 21)),
        (Resnet(depth=20), C10, (270_896, 272_474, 22)),
        (Resnet(depth=32), C10, (464_432, 466_906, 34)),
        (Resnet(depth=56), C10, (851_504, 855_770, 58)),
        (Resnet(depth=20, width=32), C10, (1_081_440, 1_084_586, 22)),
    ],
)
def test_residual_networks_have_the_published_counts(options, shape, expected):
    network = on_meta(options, shape)
    weights = prunable({"classifier": network}, ["classifier"], ["conv", "linear"]).values()
    trainable = sum(parameter.numel() for parameter in network.parameters())
    assert (sum(weight.parameter.numel() for weight in weights), trainable, len(weights)) == expected


@pytest.mark.parametrize("depth", DEPTHS)
def test_names_shapes_and_order_of_all_tensors_are_torchvisions(depth):
    assert shapes(on_meta(ImagenetResnet(depth=depth), IMAGENET)) == shapes(theirs(depth))


@pytest.mark.parametrize("depth", [18, 50])
def test_with_the_same_weights_outputs_and_gradients_are_torchvisions(depth):
    reference = filled(theirs(depth, num_classes=7))
    ours = on_meta(ImagenetResnet(depth=depth), ImageShape(3, 64, 7)).to_empty(device="cpu")
    ours.load_state_dict(reference.state_dict())
    images = torch.randn(3, 3, 70, 70, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(ours.eval()(images), reference.eval()(images), rtol=1e-5, atol=1e-5)
    for network in (ours.train(), reference.train()):
        network(images).square().mean().backward()
    for name, parameter in ours.named_parameters():
        grad = reference.get_parameter(name).grad
        torch.testing.assert_close(parameter.grad, grad, rtol=1e-3, atol=1e-4 * grad.abs().max().item() + 1e-7)


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_the_small_form_differs_in_the_stem_alone(depth):
    small, large = shapes(on_meta(TinyResnet(depth=depth), TINY)), shapes(theirs(depth, num_classes=200))
    assert small[0] == ("conv1.weight", (64, 3, 3, 3))
    assert small[1:] == large[1:]
    stem = on_meta(TinyResnet(depth=depth), TINY)
    assert stem.conv1.stride == (1, 1)
    assert not any(isinstance(layer, nn.MaxPool2d) for layer in stem.modules())


@pytest.mark.parametrize(
    ("options", "shape", "sides", "channels"),
    [
        (TinyResnet(depth=18), TINY, (64, 64, 32, 16, 8), (64, 64, 128, 256, 512)),
        (TinyResnet(depth=50), C10, (32, 32, 16, 8, 4), (64, 256, 512, 1024, 2048)),
        (ImagenetResnet(depth=50), IMAGENET, (56, 56, 28, 14, 7), (64, 256, 512, 1024, 2048)),
        (ImagenetResnet(depth=34, width=8), ImageShape(1, 33, 3), (9, 9, 5, 3, 2), (8, 8, 16, 32, 64)),
    ],
)
def test_every_stage_has_the_shape_of_the_paper(options, shape, sides, channels):
    network = on_meta(options, shape).eval()
    seen = []
    for layer in (network.maxpool, network.layer1, network.layer2, network.layer3, network.layer4):
        layer.register_forward_hook(lambda *call: seen.append(tuple(call[-1].shape[1:])))
    logits = network(torch.empty(2, shape.channels, shape.size, shape.size, device="meta"))
    assert logits.shape == (2, shape.classes)
    assert seen == [(wide, side, side) for wide, side in zip(channels, sides, strict=True)]


def test_multiply_adds_of_resnet50_are_the_known_four_billion():
    assert cost({"c": on_meta(ImagenetResnet(), IMAGENET)}, IMAGENET)["c"].multiply_adds == 4_089_184_256


@pytest.mark.parametrize("depth", DEPTHS)
def test_every_relu_runs_once_per_image(depth):
    """Scoring hooks need one module for each place: a ReLU that ran twice would stand for two."""
    network = on_meta(ImagenetResnet(depth=depth, width=1), ImageShape(3, 32, 2)).eval()
    runs = {name: 0 for name, layer in network.named_modules() if isinstance(layer, nn.ReLU)}

    def counter(name):
        def count(*_):
            runs[name] += 1

        return count

    for name in runs:
        network.get_submodule(name).register_forward_hook(counter(name))
    network(torch.empty(1, 3, 32, 32, device="meta"))
    assert set(runs.values()) == {1}
    # The last linear layer has none, and the projections of the shortcuts share the block's.
    assert len(runs) == depth - 1


def test_strides_of_bottlenecks_are_on_the_3x3_convolution():
    for layer in on_meta(ImagenetResnet(depth=50), IMAGENET).modules():
        if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2):
            assert layer.kernel_size in ((7, 7), (3, 3)) or layer.out_channels == 2 * layer.in_channels


@pytest.mark.parametrize("options", [TinyResnet(depth=18, width=8), ImagenetResnet(depth=50, width=4)])
@pytest.mark.parametrize("size", [1, 9, 32])
def test_logits_are_the_head_of_the_features_at_any_size(options, size):
    network = build(options, ImageShape(1, size, 5), Key(1))["classifier"].eval()
    images = torch.randn(2, 1, size, size)
    before = images.clone()
    features = network.features(images)
    assert features.shape == (2, network.fc.in_features)
    assert torch.equal(network.head(features), network(images))
    assert torch.equal(images, before)


@pytest.mark.parametrize("options", [TinyResnet(depth=18, width=32), ImagenetResnet(depth=50, width=16)])
def test_convolutions_start_kaiming_normal_by_fan_out_and_the_head_as_torch_has_it(options):
    for name, layer in build(options, C10, Key(2))["classifier"].named_modules():
        if isinstance(layer, nn.Conv2d):
            expected = math.sqrt(2 / (layer.out_channels * layer.weight[0, 0].numel()))
            close = 4 / math.sqrt(layer.weight.numel())
            assert layer.weight.std().item() == pytest.approx(expected, rel=close), name
            assert layer.bias is None
        elif isinstance(layer, nn.BatchNorm2d):
            assert bool((layer.weight == 1).all())
            assert not layer.bias.any()
        elif isinstance(layer, nn.Linear):
            bound = 1 / math.sqrt(layer.in_features)
            for parameter in (layer.weight, layer.bias):
                assert 0.7 * bound < parameter.abs().max() <= bound
            assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
