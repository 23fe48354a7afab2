"""Initialisers named in a spec: their distributions, their biases, and that any model takes them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import _scheme, build
from ticketlab.models.initialise import constant, fans
from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.spec.initial import Initialiser, KaimingNormal, Normal, SignedConstant, XavierNormal
from ticketlab.spec.model import Lenet, Mlp, Resnet, Sngan

SHAPE = ImageShape(1, 32, 10)


def weights(init: Initialiser) -> dict[str, torch.Tensor]:
    networks = build(Mlp(hidden=(300, 200), init=init), SHAPE, Key(1))
    return {name: found.parameter.detach() for name, found in prunable(networks, ["classifier"], ["linear"]).items()}


@pytest.mark.parametrize(
    ("init", "deviation"),
    [
        (KaimingNormal(), lambda shape: math.sqrt(2 / fans(shape)[0])),
        (KaimingNormal(fan="out"), lambda shape: math.sqrt(2 / fans(shape)[1])),
        (XavierNormal(), lambda shape: math.sqrt(2 / sum(fans(shape)))),
        (Normal(std=0.02), lambda shape: 0.02),
        (SignedConstant(), lambda shape: math.sqrt(2 / fans(shape)[0])),
        (SignedConstant(kept=0.1), lambda shape: math.sqrt(2 / (0.1 * fans(shape)[0]))),
    ],
)
def test_every_layer_has_the_deviation_of_its_fans(init, deviation):
    for weight in weights(init).values():
        spread = float(weight.square().mean().sqrt())
        assert spread == pytest.approx(deviation(weight.shape), rel=5 / math.sqrt(weight.numel()))
        assert abs(float(weight.mean())) < 5 * spread / math.sqrt(weight.numel())


def test_a_signed_constant_has_one_magnitude_per_layer_and_both_signs():
    for weight in weights(SignedConstant()).values():
        assert len(weight.abs().unique()) == 1
        assert 0.4 < float((weight > 0).float().mean()) < 0.6


@pytest.mark.parametrize(("bias", "spread"), [("zero", 0.0), ("uniform", 1 / math.sqrt(3 * 1024)), ("normal", 1.0)])
def test_biases_start_as_they_are_told(bias, spread):
    classifier = build(Mlp(hidden=(2000,), init=KaimingNormal(bias=bias)), SHAPE, Key(1))["classifier"]
    found = classifier.hidden[0].bias
    assert float(found.square().mean().sqrt()) == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("model", [Sngan(width=4, critic_width=4), Lenet(channels=(2, 2)), Resnet(depth=8, width=2)])
@pytest.mark.parametrize("init", [KaimingNormal(), SignedConstant()])
def test_any_model_takes_any_initialiser_and_normalisation_starts_neutral(model, init):
    asked = model.model_copy(update={"init": init})
    networks, own = build(asked, SHAPE, Key(1)), build(model, SHAPE, Key(1))
    for name, network in networks.items():
        differ = [
            key
            for key, value in network.state_dict().items()
            if not torch.equal(value, own[name].state_dict()[key]) and value.dim() > 1
        ]
        assert differ or isinstance(init, KaimingNormal)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert torch.equal(layer.weight, torch.ones_like(layer.weight))
                assert torch.equal(layer.bias, torch.zeros_like(layer.bias))


def test_layers_that_no_initialiser_speaks_of_start_as_the_model_has_it() -> None:
    own = _scheme(Mlp(init=Normal()), lambda layer: (constant(7.0), constant(8.0)))
    source, two = torch.Generator(), torch.Size([2])
    assert own(nn.Embedding(3, 4))[0](two, source).tolist() == [7.0, 7.0]
    weight, bias = own(nn.GroupNorm(1, 2))
    assert (weight(two, source).tolist(), bias(two, source).tolist()) == ([1.0, 1.0], [0.0, 0.0])
    assert own(nn.Linear(2, 2))[1](two, source).tolist() == [0.0, 0.0]
