"""GraSP's score is the derivative of half the squared gradient norm in the mask, with its sign."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from ticketlab.spec.drawing import Schedule
from ticketlab.spec.foresight import Grasp
from ticketlab.tickets.grasp import IMAGES_FROM, Tempered
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.probed import private_networks, scored_weights
from ticketlab.tickets.scope import network_of
from ticketlab.tickets.scoring import score

GRASP = Grasp(schedule=Schedule(density=0.5), precision="float64")


def half_squared_gradient(made: Any, mask: Mask, mode: Any, layer: str, index: int, change: float) -> float:
    """|g|^2 / 2 of the loss of the layer's network in those of its scored weights that are kept, one of them moved."""
    subject = made.subject(mask)
    networks = private_networks(subject, "float64", mode)
    weights = scored_weights(subject, networks)
    with torch.no_grad():
        weights[layer].view(-1)[index] += change
    warm = {name: net if name == IMAGES_FROM else Tempered(net, 200.0) for name, net in networks.items()}
    loss = subject.losses(warm, 0)[network_of(layer)]
    own = {name: weight for name, weight in weights.items() if network_of(name) == network_of(layer)}
    slopes = torch.autograd.grad(loss, list(own.values()))
    return sum(float((slope * mask[name]).square().sum()) for name, slope in zip(own, slopes, strict=True)) / 2


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("model", ["lenet", "resnet", "vgg", "sngan"])
def test_scores_are_finite_differences_of_the_gradient_norm(bench: Callable[..., Any], model: str, mode: Any) -> None:
    made = bench(model)
    source = torch.Generator().manual_seed(2)
    mask = Mask({layer: torch.rand(kept.shape, generator=source) < 0.8 for layer, kept in made.dense.items()})
    scores = score(GRASP.model_copy(update={"mode": mode}), made.subject(mask))
    step = 1e-6
    for layer, values in scores.items():
        index = int(values.abs().argmax())
        above, below = (half_squared_gradient(made, mask, mode, layer, index, sign * step) for sign in (1, -1))
        expected = (above - below) / (2 * step) * float((made.weights[layer] * mask[layer]).view(-1)[index])
        assert float(values.view(-1)[index]) == pytest.approx(expected, rel=2e-3, abs=1e-12)


def test_both_passes_see_the_whole_probe_set(bench: Callable[..., Any]) -> None:
    made = bench("resnet")
    whole, parts = score(GRASP, made.subject()), score(GRASP, made.subject(sizes=(3, 4, 1)))
    largest = max(float(values.abs().max()) for values in whole.values())
    assert all(torch.allclose(whole[layer], parts[layer], rtol=1e-7, atol=1e-12 * largest) for layer in whole)


def test_a_probe_set_that_is_drawn_for_every_pass_is_other_batches_in_the_second(bench: Callable[..., Any]) -> None:
    subject = bench("lenet").subject(sizes=(3, 4, 1))
    asked: list[int] = []

    def losses(networks: Any, number: int) -> Any:
        asked.append(number)
        return subject.losses(networks, number % 3)

    score(GRASP, replace(subject, losses=losses))
    assert asked == [0, 1, 2, 0, 1, 2]
    asked.clear()
    score(GRASP, replace(subject, losses=losses, redrawn=True))
    assert asked == [0, 1, 2, 3, 4, 5]


def test_scores_have_both_signs_and_are_zero_where_pruned(bench: Callable[..., Any]) -> None:
    made = bench("lenet")
    mask = made.drawn(GRASP)
    for layer, values in score(GRASP, made.subject(mask)).items():
        assert not bool(values[~mask[layer]].any())
    flat = torch.cat([values.flatten() for values in score(GRASP, made.subject()).values()])
    assert float(flat.min()) < 0 < float(flat.max())


def test_the_temperature_divides_what_a_critic_says_and_not_the_images_it_sees(bench: Callable[..., Any]) -> None:
    made = bench("sngan")
    one, four = (score(GRASP.model_copy(update={"temperature": t}), made.subject()) for t in (1.0, 4.0))
    for layer, values in one.items():
        if network_of(layer) == "generator":  # whose loss is linear in the critic's scores
            largest = float(values.abs().max())
            assert torch.allclose(four[layer] * 4.0**2, values, rtol=1e-8, atol=1e-10 * largest)
