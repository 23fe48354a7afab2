"""SNIP's score is the derivative of the loss in the mask."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from ticketlab.spec.drawing import Schedule
from ticketlab.spec.foresight import Snip
from ticketlab.spec.structure import AboveThreshold
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.probed import private_networks, scored_weights
from ticketlab.tickets.scope import network_of
from ticketlab.tickets.scoring import score

SNIP = Snip(schedule=Schedule(density=0.5), precision="float64")


def loss_at(made: Any, mask: Mask, mode: Any, layer: str, index: int, change: float) -> float:
    """The mean loss over the probe set of the layer's network, with one entry of its mask changed."""
    networks = private_networks(made.subject(mask), "float64", mode)
    weights = scored_weights(made.subject(mask), networks)
    with torch.no_grad():
        weights[layer].view(-1)[index] += change * made.weights[layer].view(-1)[index]
        return float(made.subject(mask).losses(networks, 0)[network_of(layer)])


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("model", ["lenet", "resnet", "vgg", "sngan"])
def test_scores_are_finite_differences_of_the_loss_in_the_mask(
    bench: Callable[..., Any], model: str, mode: Any
) -> None:
    made = bench(model)
    source = torch.Generator().manual_seed(2)
    mask = Mask({layer: torch.rand(kept.shape, generator=source) < 0.8 for layer, kept in made.dense.items()})
    scores = score(SNIP.model_copy(update={"mode": mode}), made.subject(mask))
    step = 1e-6
    for layer, values in scores.items():
        pruned = int((~mask[layer]).flatten().int().argmax())
        for index in {int(values.argmax()), 0, pruned}:
            above, below = (loss_at(made, mask, mode, layer, index, sign * step) for sign in (1, -1))
            expected = abs(above - below) / (2 * step)
            assert float(values.view(-1)[index]) == pytest.approx(expected, rel=1e-3, abs=1e-7)


def test_a_short_last_batch_counts_by_its_size(bench: Callable[..., Any]) -> None:
    made = bench("resnet")
    whole, parts = score(SNIP, made.subject()), score(SNIP, made.subject(sizes=(7, 1)))
    assert all(torch.allclose(whole[layer], parts[layer], rtol=1e-8, atol=1e-12) for layer in whole)


def test_each_network_is_scored_by_its_own_loss(bench: Callable[..., Any]) -> None:
    made = bench("sngan")
    both = score(SNIP, made.subject())
    for layer in ("generator.l1.weight", "critic.l5.weight_orig"):
        networks = private_networks(made.subject(), "float64")
        weight = scored_weights(made.subject(), networks)[layer]
        loss = made.subject().losses(networks, 0)[network_of(layer)]
        (slope,) = torch.autograd.grad(loss, [weight])
        assert torch.allclose(both[layer], (weight * slope).abs(), rtol=1e-12)


def test_train_mode_uses_the_statistics_of_the_batch(bench: Callable[..., Any]) -> None:
    made = bench("resnet")
    in_eval, in_train = (score(SNIP.model_copy(update={"mode": mode}), made.subject()) for mode in ("eval", "train"))
    assert not torch.allclose(in_eval["classifier.conv.weight"], in_train["classifier.conv.weight"], rtol=1e-3)


def test_five_rounds_of_the_released_rule_are_those_of_masked_layers(bench: Callable[..., Any]) -> None:
    """The loop as published: derive the loss in the masks, rank all of them, make every mask from nothing."""
    made = bench("mlp")
    options = SNIP.model_copy(update={"schedule": Schedule(rounds=5, density=0.1), "structure": AboveThreshold()})
    (network,) = made.networks.values()
    network = copy.deepcopy(network).double()
    weights = {layer.partition(".")[2]: weight.double() for layer, weight in made.weights.items()}
    masks = {name: torch.ones_like(weight) for name, weight in weights.items()}
    back = 0
    for done in range(1, 6):
        live = {name: mask.requires_grad_() for name, mask in masks.items()}
        given = functional_call(network, {name: live[name] * weights[name] for name in live}, made.images.double())
        slopes = torch.autograd.grad(F.cross_entropy(given, made.labels), list(live.values()))
        flat = torch.cat([slope.abs().flatten() for slope in slopes])
        threshold = flat.sort().values[int((1.0 - 0.1 ** (done / 5)) * len(flat)) - 1]
        before = masks
        masks = {name: (slope.abs() > threshold).double() for name, slope in zip(live, slopes, strict=True)}
        back += sum(int((masks[name] > before[name]).sum()) for name in masks)
    drawn = made.drawn(options)
    assert back > 0
    assert all(torch.equal(drawn[layer], masks[layer.partition(".")[2]].bool()) for layer in drawn)
