"""SNIP's score is the derivative of the loss in the mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ticketlab.spec.drawing import Schedule
from ticketlab.spec.foresight import Snip
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.probed import private_networks, scored_weights
from ticketlab.tickets.scope import network_of
from ticketlab.tickets.scoring import score

SNIP = Snip(schedule=Schedule(density=0.5), precision="float64")


def loss_at(made: Any, mask: Mask, mode: Any, layer: str, index: int, factor: float) -> float:
    """The mean loss over the probe set of the layer's network, with one weight times a factor."""
    networks = private_networks(made.subject(mask), "float64", mode)
    weights = scored_weights(made.subject(mask), networks)
    with torch.no_grad():
        weights[layer].view(-1)[index] *= factor
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
    step = 1e-5
    for layer, values in scores.items():
        for index in {int(values.argmax()), 0}:
            above, below = (loss_at(made, mask, mode, layer, index, 1 + sign * step) for sign in (1, -1))
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
