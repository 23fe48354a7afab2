"""DeepLabV3+ is torchvision's dilated backbone, a pyramid of the paper's rates, and a head at a quarter of the image."""

import math

import pytest
import torch
import torchvision
from torch import nn

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.dropout import KeyedDropout, set_keys
from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.spec.segmenters import Deeplab

VOC = ImageShape(3, 513, 21)
SMALL = Deeplab(width=4, pyramid=6, detail=3)


def on_meta(options=Deeplab(), shape=VOC):  # noqa: B008
    with torch.device("meta"):
        return build(options, shape, Key(0))["segmenter"]


def test_the_backbone_is_torchvisions_with_the_last_two_stages_dilated():
    with torch.device("meta"):
        reference = torchvision.models.resnet50(weights=None, replace_stride_with_dilation=[False, True, True])
        reference.fc = nn.Identity()
    reference.to_empty(device="cpu")
    source = torch.Generator().manual_seed(1)
    for name, tensor in reference.state_dict().items():
        if tensor.dim() > 1:
            tensor.copy_(torch.randn(tensor.shape, generator=source) * math.sqrt(2 / tensor[0].numel()))
        elif not name.endswith("num_batches_tracked"):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=source))
    backbone = on_meta().backbone.to_empty(device="cpu").eval()
    backbone.load_state_dict(reference.state_dict())
    images = torch.randn(1, 3, 65, 65, generator=source)
    fine, deep = backbone(images)
    assert (fine.shape, deep.shape) == ((1, 256, 17, 17), (1, 2048, 9, 9))
    torch.testing.assert_close(deep.mean((2, 3)), reference.eval()(images), rtol=1e-5, atol=1e-5)


def test_the_pyramid_and_the_head_have_the_layers_of_the_paper():
    network = on_meta()
    described = {
        name: (layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.dilation[0], layer.bias is not None)
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d) and not name.startswith("backbone")
    }
    assert described == {
        "pyramid.point.0": (2048, 256, 1, 1, False),
        "pyramid.dilated.0.0": (2048, 256, 3, 12, False),
        "pyramid.dilated.1.0": (2048, 256, 3, 24, False),
        "pyramid.dilated.2.0": (2048, 256, 3, 36, False),
        "pyramid.whole.0": (2048, 256, 1, 1, False),
        "pyramid.project.0": (1280, 256, 1, 1, False),
        "detail.0": (256, 48, 1, 1, False),
        "mix.0": (304, 256, 3, 1, False),
        "classify": (256, 21, 1, 1, True),
    }


def test_every_convolution_is_prunable_and_they_count_as_their_formula_says():
    weights = prunable({"segmenter": on_meta()}, ["segmenter"], ["conv", "linear"])
    backbone = 25_502_912 - 2048 * 1000
    pyramid = 2048 * 256 * (1 + 3 * 9 + 1) + 5 * 256 * 256
    head = 256 * 48 + 304 * 256 * 9 + 256 * 21
    assert sum(weight.parameter.numel() for weight in weights.values()) == backbone + pyramid + head == 39_705_024
    assert len(weights) == 53 + 6 + 3
    assert {weight.kind for weight in weights.values()} == {"conv"}
    norms = 53_120 + 2 * (256 * 7 + 48)
    assert sum(p.numel() for p in on_meta().parameters()) == 39_705_024 + norms + 21


@pytest.mark.parametrize("size", [513, 64, 65])
def test_every_pixel_has_logits_and_features_are_a_quarter_of_the_image(size):
    network = on_meta(SMALL, ImageShape(3, size, 21)).eval()
    images = torch.empty(2, 3, size, size, device="meta")
    side = math.ceil(size / 4)
    features = network.features(images)
    assert features.shape == (2, 6, side, side)
    assert network.head(features).shape == (2, 21, side, side)
    assert network.backbone(images)[1].shape == (2, 128, math.ceil(size / 8), math.ceil(size / 8))
    assert network(images).shape == (2, 21, size, size)


def test_the_whole_branch_sees_the_mean_of_all_places():
    pyramid = build(SMALL, ImageShape(3, 32, 5), Key(1))["segmenter"].pyramid.eval()
    maps = torch.randn(2, 128, 5, 4)
    mixed = maps.flatten(2)[..., torch.randperm(20, generator=torch.Generator().manual_seed(1))].view_as(maps)
    seen = []
    pyramid.project.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, -6:]))
    pyramid(maps)
    pyramid(mixed)
    torch.testing.assert_close(seen[0], seen[1])
    assert torch.equal(seen[0], seen[0][:, :, :1, :1].expand_as(seen[0]))


def test_the_backbone_starts_by_fan_out_and_the_head_by_fan_in():
    network = build(Deeplab(width=16, pyramid=64, detail=16), ImageShape(3, 64, 21), Key(2))["segmenter"]
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        fan = layer.weight[:, 0].numel() if name.startswith("backbone") else layer.weight[0].numel()
        close = 4 / math.sqrt(layer.weight.numel())
        assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan), rel=close), name
    assert not network.classify.bias.any()


def test_activations_and_dropout_are_modules_of_their_own():
    network = on_meta(SMALL, ImageShape(3, 64, 5)).eval()
    runs = {name: 0 for name, layer in network.named_modules() if isinstance(layer, nn.ReLU)}
    for name in runs:
        network.get_submodule(name).register_forward_hook(lambda *_, name=name: runs.update({name: runs[name] + 1}))
    network(torch.empty(1, 3, 64, 64, device="meta"))
    assert set(runs.values()) == {1}
    assert len(runs) == 49 + 6 + 2
    assert [layer.share for layer in network.modules() if isinstance(layer, KeyedDropout)] == [0.1]


def test_it_trains_under_deterministic_algorithms_and_repeats_itself():
    network = build(SMALL, ImageShape(3, 40, 5), Key(3))["segmenter"]
    images = torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(2))

    def gradients():
        network.zero_grad()
        set_keys(network, Key(4))
        network(images).square().mean().backward()
        return [parameter.grad.clone() for parameter in network.parameters()]

    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        once, again = gradients(), gradients()
    finally:
        torch.use_deterministic_algorithms(before)
    assert all(torch.equal(one, other) for one, other in zip(once, again, strict=True))
    assert all(grad.any() for grad in once)
