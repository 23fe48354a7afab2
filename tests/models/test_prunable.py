import pytest
import torch
from torch import nn

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.prunable import last_layers, prunable
from ticketlab.randomness import Key
from ticketlab.spec.language import place_at
from ticketlab.spec.model import Mlp, Resnet, Sngan


def on_meta(options, shape):
    with torch.device("meta"):
        return build(options, shape, Key(0))


def test_gan_weights_are_raw_ones_in_the_order_of_networks_and_modules():
    networks = on_meta(Sngan(width=4, critic_width=4), ImageShape(3, 32, 10))
    found = prunable(networks, ["critic", "generator"], ["conv"])
    names = list(found)
    assert names[:3] == ["generator.block2.c1.weight", "generator.block2.c2.weight", "generator.block2.c_sc.weight"]
    assert names[9:12] == ["generator.c5.weight", "critic.block1.c1.weight_orig", "critic.block1.c2.weight_orig"]
    assert len(names) == 10 + 10
    assert all(networks[n.split(".")[0]].get_parameter(n.split(".", 1)[1]) is w.parameter for n, w in found.items())
    assert list(prunable(networks, ["critic"], ["linear"])) == ["critic.l5.weight_orig"]


def test_published_prunable_counts():
    gan = on_meta(Sngan(), ImageShape(3, 32, 10))
    for network, expected in (("generator", 3_742_464), ("critic", 1_052_416)):
        assert sum(w.parameter.numel() for w in prunable(gan, [network], ["conv"]).values()) == expected
    resnet = prunable(on_meta(Resnet(), ImageShape(3, 32, 10)), ["classifier"], ["conv", "linear"])
    assert len(resnet) == 22
    assert sum(w.parameter.numel() for w in resnet.values()) == 270_896
    assert [w.kind for w in resnet.values()] == ["conv"] * 21 + ["linear"]


def test_kinds_cover_transposed_convolutions_and_leave_out_biases_and_normalisation():
    network = nn.Sequential(
        nn.ConvTranspose2d(2, 3, 4), nn.BatchNorm2d(3), nn.Conv1d(3, 3, 1), nn.GroupNorm(1, 3), nn.Linear(3, 3)
    )
    found = prunable({"net": network}, ["net"], ["conv", "linear"])
    assert {name: w.kind for name, w in found.items()} == {
        "net.0.weight": "conv",
        "net.2.weight": "conv",
        "net.4.weight": "linear",
    }


def test_a_weight_shared_by_two_layers_is_listed_once():
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    assert list(prunable({"net": network}, ["net"], ["linear"])) == ["net.0.weight"]
    assert list(prunable({"a": network, "b": network}, ["a", "b"], ["linear"])) == ["a.0.weight"]


def test_a_network_that_is_itself_a_layer_has_no_empty_part_in_its_name():
    assert list(prunable({"net": nn.Linear(2, 2)}, ["net"], ["linear"])) == ["net.weight"]


def test_an_unknown_network_is_an_error():
    with pytest.raises(KeyError, match="critic"):
        prunable(on_meta(Mlp(), ImageShape(1, 28, 10)), ["critic"], ["linear"])


@pytest.mark.parametrize("model", place_at(("model",), {}).sections, ids=lambda kind: kind.__name__)
def test_models_have_the_kinds_of_layer_that_the_language_says(model):
    size = (model.sizes or (64,))[0]
    found = prunable(on_meta(model(), ImageShape(3, size, 10)), model.networks, ["conv", "linear"])
    assert {weight.kind for weight in found.values()} == set(model.layer_kinds)
    assert set(model.prunable_layers) & set(model.layer_kinds)


@pytest.mark.parametrize("model", place_at(("model",), {}).sections, ids=lambda kind: kind.__name__)
def test_the_last_layer_is_the_one_that_gives_the_outputs(model):
    networks = on_meta(model(), ImageShape(3, (model.sizes or (64,))[0], 10))
    last = {name.partition(".")[0]: name.partition(".")[2] for name in last_layers(networks)}
    outputs = {"generator": 3, "critic": 1}
    assert {name: len(networks[name].get_parameter(layer)) for name, layer in last.items()} == {
        name: outputs.get(name, 10) for name in model.networks
    }
