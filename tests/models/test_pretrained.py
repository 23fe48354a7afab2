"""Weights from elsewhere land where they belong, what has no counterpart keeps its start, and nothing lands halfway."""

import copy
from functools import cache

import pytest
import torch
import torchvision

from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import DataError
from ticketlab.models.build import build
from ticketlab.models.pretrained import CLIP, MOCO, ORIGINS, TORCHVISION, load
from ticketlab.models.torch_file import read_state_dict
from ticketlab.randomness import Key
from ticketlab.spec.model import ImagenetResnet
from ticketlab.spec.segmenters import Deeplab

COUNTED = "layer1.0.bn1.num_batches_tracked"
STAGES = ("layer1.", "layer2.", "layer3.", "layer4.")
SHAPE = ImageShape(3, 64, 1000)


@pytest.fixture(scope="module")
def theirs():
    """Tensors named and shaped as torchvision's ResNet-50, each filled with a number of its own."""
    with torch.device("meta"):
        names = torchvision.models.resnet50(weights=None).state_dict()
    return {
        name: torch.full(tensor.shape, position % 251, dtype=tensor.dtype, device="cpu")
        for position, (name, tensor) in enumerate(names.items(), 2)
    }


def moco(theirs):
    """A MoCo v2 checkpoint's tensors: two encoders with projections of two layers, and the queue of negatives."""
    body = {name: tensor for name, tensor in theirs.items() if not name.startswith("fc.")}
    projection = {"fc.0.weight": torch.ones(8, 8), "fc.0.bias": torch.ones(8), "fc.2.weight": torch.ones(2, 8)}
    query = {f"module.encoder_q.{name}": tensor for name, tensor in {**body, **projection}.items()}
    other = {f"module.encoder_k.{name}": -tensor for name, tensor in {**body, **projection}.items()}
    return {**query, **other, "module.queue": torch.ones(2, 9), "module.queue_ptr": torch.zeros(1, dtype=torch.int64)}


def clip(theirs):
    """CLIP RN50's tensors: a stem of three convolutions, four stages in half precision, attention pooling, the text."""
    stages = {
        f"visual.{name}": tensor.to(half_of(tensor)) for name, tensor in theirs.items() if name.startswith(STAGES)
    }
    stem = {"conv1": (32, 3, 3, 3), "conv2": (32, 32, 3, 3), "conv3": (64, 32, 3, 3)}
    odd = {f"visual.{name}.weight": torch.ones(shape) for name, shape in stem.items()}
    odd |= {f"visual.bn{n}.{part}": torch.ones(32) for n in (1, 2, 3) for part in ("weight", "bias", "running_mean")}
    odd |= {"visual.attnpool.positional_embedding": torch.ones(5, 4), "visual.attnpool.k_proj.weight": torch.ones(4, 4)}
    return {**odd, **stages, "transformer.resblocks.0.ln_1.weight": torch.ones(4), "logit_scale": torch.tensor(4.6)}


def half_of(tensor):
    return torch.float16 if tensor.is_floating_point() else tensor.dtype


def published(theirs):
    """What a run of the lab publishes: the classifier under its name."""
    return {f"classifier.{name}": tensor for name, tensor in theirs.items()}


FILES = {"torchvision": dict, "moco": moco, "clip": clip, "ticketlab": published}


@cache
def built(classes, depth, width):
    return build(ImagenetResnet(depth=depth, width=width), ImageShape(3, 64, classes), Key(1))["classifier"]


def network(classes=1000, depth=50, width=64):
    return copy.deepcopy(built(classes, depth, width))


def landed(net, theirs, names):
    state = net.state_dict()
    return all(torch.equal(state[name], theirs[name]) for name in names)


@pytest.mark.parametrize(
    ("origin", "random"),
    [("torchvision", ()), ("moco", ("fc.",)), ("clip", ("conv1.", "bn1.", "fc.")), ("ticketlab", ())],
)
def test_every_tensor_that_has_a_counterpart_is_given_and_the_others_are_named(theirs, tmp_path, origin, random):
    torch.save({"epoch": 1, "state_dict": FILES[origin](theirs)}, tmp_path / "w.pth")
    net, start = network(), network().state_dict()
    result = load(ORIGINS[origin], read_state_dict(tmp_path / "w.pth"), net, "w.pth")
    assert set(result.initial) == {name for name in start if name.startswith(random)}
    assert set(result.given) | set(result.initial) == set(start)
    assert landed(net, theirs, result.given)
    assert landed(net, start, result.initial)
    assert {tensor.dtype for name, tensor in net.state_dict().items() if "num" not in name} == {torch.float32}


@pytest.mark.parametrize("origin", FILES)
def test_a_head_of_other_classes_starts_as_initialised(theirs, origin):
    net, start = network(10), network(10).state_dict()
    result = load(ORIGINS[origin], FILES[origin](theirs), net, "file")
    assert {"fc.weight", "fc.bias"} <= set(result.initial)
    assert landed(net, start, ["fc.weight", "fc.bias"])
    assert landed(net, theirs, [name for name in theirs if name.startswith(STAGES)])


def test_a_backbone_without_a_head_takes_the_same_files(theirs):
    backbone = build(Deeplab(), ImageShape(3, 64, 21), Key(1))["segmenter"].backbone
    for origin, make in FILES.items():
        result = load(ORIGINS[origin], make(theirs), backbone, "file")
        assert landed(backbone, theirs, result.given)
        assert not any(name.startswith("fc.") for name in (*result.given, *result.initial))
    assert load(TORCHVISION, theirs, backbone, "file").initial == ()


def test_a_file_without_a_head_leaves_it_as_initialised(theirs):
    body = {name: tensor for name, tensor in theirs.items() if not name.startswith("fc.")}
    assert load(TORCHVISION, body, network(), "file").initial == ("fc.weight", "fc.bias")


def test_dinos_resnet50_is_torchvisions_without_a_head(theirs, tmp_path):
    """Its released file of the backbone is the plain state dict of a ResNet-50 whose `fc` was taken off."""
    body = {name: tensor for name, tensor in theirs.items() if not name.startswith("fc.")}
    torch.save(body, tmp_path / "dino_resnet50_pretrain.pth")
    tensors = read_state_dict(tmp_path / "dino_resnet50_pretrain.pth")
    backbone = build(Deeplab(), ImageShape(3, 64, 21), Key(1))["segmenter"].backbone
    for net, initial in ((network(10), ("fc.weight", "fc.bias")), (backbone, ())):
        result = load(TORCHVISION, tensors, net, "file")
        assert result.initial == initial
        assert set(result.given) == set(body)
        assert landed(net, theirs, body)


def test_files_without_batch_counters_are_read_too(theirs):
    old = {name: tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked")}
    net = network()
    result = load(TORCHVISION, old, net, "file")
    assert set(result.given) == set(old)
    assert net.bn1.num_batches_tracked == 0


def test_any_real_numbers_that_the_networks_precision_holds_are_taken(theirs):
    wide = {name: tensor.double() if tensor.is_floating_point() else tensor.int() for name, tensor in theirs.items()}
    wide["bn1.running_var"] = torch.zeros_like(wide["bn1.running_var"])
    net = network()
    load(TORCHVISION, wide, net, "file")
    assert landed(net, {**theirs, "bn1.running_var": torch.zeros(64)}, theirs)


def typed(theirs, name, dtype):
    return {**theirs, name: theirs[name].to(dtype)}


def without(theirs, name):
    return {other: tensor for other, tensor in theirs.items() if other != name}


@pytest.mark.parametrize(
    ("origin", "harm", "said"),
    [
        (TORCHVISION, lambda t: without(t, "layer3.5.bn2.running_var"), "lack layer3.5.bn2.running_var"),
        (TORCHVISION, lambda t: {**t, "layer5.0.conv1.weight": torch.ones(1)}, "has no layer5.0.conv1.weight"),
        (TORCHVISION, lambda t: {**t, "layer4.2.bn3.bias": torch.ones(7)}, "another shape of layer4.2.bn3.bias"),
        (TORCHVISION, lambda t: {**t, "conv1.weight": t["conv1.weight"] / 0}, "finite in conv1.weight"),
        (TORCHVISION, lambda t: {**t, "conv1.weight": t["conv1.weight"].to(torch.float8_e5m2)}, "are conv1.weight"),
        (TORCHVISION, lambda t: typed(t, "conv1.weight", torch.int8), "no plain numbers.* are conv1.weight"),
        (TORCHVISION, lambda t: typed(t, "bn1.running_mean", torch.int64), "no plain numbers.* are bn1.running_mean"),
        (TORCHVISION, lambda t: typed(t, "conv1.weight", torch.bool), "no plain numbers.* are conv1.weight"),
        (TORCHVISION, lambda t: typed(t, "fc.weight", torch.complex64), "no plain numbers.* are fc.weight"),
        (TORCHVISION, lambda t: typed(t, COUNTED, torch.float32), f"no plain numbers.* are {COUNTED}"),
        (TORCHVISION, lambda t: typed(t, COUNTED, torch.bool), f"no plain numbers.* are {COUNTED}"),
        (TORCHVISION, lambda t: {**t, "fc.bias": t["fc.bias"].double() * 1e300}, "finite in fc.bias"),
        (TORCHVISION, lambda t: {**t, "bn1.running_var": -t["bn1.running_var"]}, "below zero in bn1.running_var"),
        (TORCHVISION, lambda t: without(t, "fc.bias"), "lack fc.bias"),
        (TORCHVISION, lambda t: without(t, "fc.weight"), "lack fc.weight"),
        (TORCHVISION, lambda t: {**t, "fc.foo": torch.ones(1)}, "has no fc.foo"),
        (TORCHVISION, lambda t: {**t, "fc.weight": torch.ones(1000, 99)}, "another shape of fc.weight"),
        (TORCHVISION, lambda t: {**t, "fc.weight": torch.ones(())}, "another shape of fc.weight"),
        (TORCHVISION, lambda t: {**t, "fc.bias": torch.ones(10)}, "another shape of fc.bias"),
        (TORCHVISION, moco, "lack conv1.weight, bn1.weight, bn1.bias, ..."),
        (MOCO, dict, "lack conv1.weight"),
        (CLIP, dict, "lack layer1"),
        (CLIP, lambda t: without(clip(t), "visual.layer1.0.downsample.0.weight"), "lack layer1.0.downsample.0.weight"),
    ],
)
def test_weights_of_another_network_are_refused_and_change_nothing(theirs, origin, harm, said):
    net, start = network(), network().state_dict()
    with pytest.raises(DataError, match=said) as caught:
        load(origin, harm(theirs), net, "some.pth")
    assert caught.value.where == "some.pth"
    assert landed(net, start, start)


@pytest.mark.parametrize("options", [{"depth": 101}, {"depth": 34}, {"width": 32}])
def test_a_network_of_another_depth_or_width_refuses_them(theirs, options):
    with pytest.raises(DataError, match="torchvision"):
        load(TORCHVISION, theirs, network(**options), "file")


def test_origins_say_what_stays_random():
    assert set(ORIGINS) == set(FILES)
    assert "stem" in CLIP.about
    assert "start as initialised" in CLIP.about
