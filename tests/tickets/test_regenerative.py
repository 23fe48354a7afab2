"""Regenerative pruning: sleeping weights stay bit for bit, come back as they were, and the switch follows the metric."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ticketlab.models.prunable import prunable
from ticketlab.models.spectral import SpectralLinear
from ticketlab.randomness import Key
from ticketlab.spec.metric import Frechet
from ticketlab.spec.regenerative import Regenerative
from ticketlab.tickets.regenerative import Regenerating, improving, wearing

Step = tuple[Regenerating, dict[str, nn.Module], torch.optim.Optimizer]


def started(optimizer: str = "adam", **options: Any) -> Step:
    source = torch.Generator().manual_seed(0)
    networks: dict[str, nn.Module] = {
        "generator": nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4)),
        "critic": nn.Sequential(SpectralLinear(4, 6), nn.ReLU(), SpectralLinear(6, 1)),
    }
    with torch.no_grad():
        for network in networks.values():
            for value in network.state_dict(keep_vars=True).values():
                value.copy_(torch.randn(value.shape, generator=source))
    weights = prunable(networks, ("generator", "critic"), ("linear",))
    made = wearing(Regenerative(**{"judge": Frechet(), **options}), networks, weights, 10, Key(0))
    learns = [parameter for worn in made.worn.values() for parameter in worn.learns().values()]
    rules = {
        "adam": lambda: torch.optim.Adam(learns, lr=1e-2, betas=(0.9, 0.9), weight_decay=0.1),
        "sgd": lambda: torch.optim.SGD(learns, lr=1e-2, momentum=0.9, weight_decay=0.1),
        "paper": lambda: torch.optim.Adam(learns, lr=2e-4, betas=(0.0, 0.9), eps=1e-8),
    }
    return made, networks, rules[optimizer]()


def learn(made: Regenerating, networks: dict[str, nn.Module], optimizer: torch.optim.Optimizer, number: int) -> None:
    noise = torch.randn(8, 5, generator=torch.Generator().manual_seed(number))
    optimizer.zero_grad(set_to_none=True)
    networks["critic"](networks["generator"](noise)).square().mean().backward()
    for worn in made.worn.values():
        worn.after_backward(number)
    optimizer.step()
    for worn in made.worn.values():
        worn.after_step(number)


def raise_thresholds(made: Regenerating, to: float) -> None:
    for worn in made._own.values():
        for change in worn.thresholds().values():
            change.threshold.data.fill_(to)


def raw(networks: dict[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"{title}.{name}": value.detach().clone()
        for title, network in networks.items()
        for name, value in network.named_parameters()
        if name.endswith(("weight", "weight_orig"))
    }


def hear(made: Regenerating, *values: float) -> None:
    for value in values:
        made.hear(0, {"precision": 0.5, "fd_x_4": value})


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_sleeping_weights_stay_bit_for_bit_whatever_momentum_and_decay_do(optimizer: str) -> None:
    made, networks, rule = started(optimizer)
    learn(made, networks, rule, 0)
    raise_thresholds(made, 0.3)
    before = raw(networks)
    asleep = {layer: ~kept for layer, kept in made._own["generator"].kept().items()}
    for number in range(1, 5):
        learn(made, networks, rule, number)
    after = raw(networks)
    assert any(bool(bits.any()) for bits in asleep.values())
    for layer, bits in asleep.items():
        assert torch.equal(after[layer][bits], before[layer][bits])
        assert not torch.equal(after[layer][~bits], before[layer][~bits])


def test_a_dense_phase_brings_every_weight_back_as_it_was_left_and_trains_it() -> None:
    made, networks, rule = started()
    raise_thresholds(made, 0.5)
    before = raw(networks)
    hear(made, 1, 1, 1, 1, 2)
    assert made.row()["density_generator"] == made.row()["density_critic"] == 1.0
    assert all(torch.equal(now, before[layer]) for layer, now in raw(networks).items())
    learn(made, networks, rule, 0)
    assert all(bool((now != before[layer]).all()) for layer, now in raw(networks).items())
    hear(made, 0.1)
    assert made.row()["density_generator"] < 1.0, "the old thresholds apply again"


def test_thresholds_rise_by_the_closed_form_of_the_penalty_alone() -> None:
    made, networks, rule = started("paper", rise=1e-9)
    for number in range(20):
        learn(made, networks, rule, number)
    # Adam without a first moment: each step is lr g / (|g| + eps), with g = lambda while thresholds are small.
    expected = 20 * 2e-4 * 1e-9 / (1e-9 + 1e-8)
    for worn in made._own.values():
        for change in worn.thresholds().values():
            assert change.threshold.tolist() == pytest.approx([expected] * len(change.threshold), rel=0.01)


def test_while_dense_thresholds_are_left_alone() -> None:
    made, networks, rule = started(rise=1e-3)
    learn(made, networks, rule, 0)
    hear(made, 1, 1, 1, 1, 2)
    before = made.row()["threshold_generator"], made.row()["threshold_critic"]
    for number in range(1, 4):
        learn(made, networks, rule, number)
    assert before == (made.row()["threshold_generator"], made.row()["threshold_critic"])
    assert before[0] > 0


def test_the_straight_through_gradient_is_that_of_the_long_tailed_step() -> None:
    made, networks, _ = started(threshold_gradient="straight_through")
    raise_thresholds(made, 0.2)
    layer = networks["generator"][0]  # type: ignore[index]
    noise = torch.randn(8, 5, generator=torch.Generator().manual_seed(1))
    upstream = torch.randn(8, 6, generator=torch.Generator().manual_seed(2))
    layer(noise).backward(upstream)
    change = made._own["generator"].thresholds()["generator.0.weight"]
    weight, plain = layer.weight.detach(), upstream.t() @ noise
    distance = weight.abs() - 0.2
    slope = torch.where(distance.abs() <= 0.4, 2 - 4 * distance.abs(), 0.4 * (distance.abs() <= 1))
    assert torch.allclose(layer.weight.grad, plain * (distance > 0) + plain * weight * slope * weight.sign(), atol=1e-6)
    assert change.threshold.grad is not None
    assert torch.allclose(change.threshold.grad, -(plain * weight * slope).sum(1), atol=1e-5)


def test_a_layer_that_nearly_died_is_opened_again() -> None:
    made, networks, rule = started(floor=0.05)
    change = made._own["generator"].thresholds()["generator.0.weight"]
    other = made._own["generator"].thresholds()["generator.2.weight"]
    change.threshold.data.fill_(100.0)
    other.threshold.data.fill_(0.1)
    learn(made, networks, rule, 0)
    assert float(change.threshold.max()) == 0.0
    assert float(other.threshold.min()) > 0.0


@pytest.mark.parametrize(
    ("heard", "answer"),
    [
        ([200, 150, 120, 100], None),
        ([200, 150, 120, 100, 90], True),
        ([85, 80, 84, 85, 95], False),
        ([50] * 5, True),
        ([80, 84, 95, 93, 90], True),
        ([84, 95, 93, 90, 91], False),
    ],
)
def test_pruning_goes_on_while_the_metric_is_no_worse_than_its_smoothed_past(
    heard: list[float], answer: bool | None
) -> None:
    assert improving(heard) is answer
    if answer is not None:
        smoothed = math.fsum(w * v for w, v in zip((0.1, 0.1, 0.2, 0.2, 0.4), heard[-5:], strict=True))
        assert abs(smoothed - heard[-1]) < 1e-9 or (smoothed > heard[-1]) is answer


def test_a_search_goes_on_from_its_state_and_from_nothing_else() -> None:
    first, networks, _ = started()
    raise_thresholds(first, 0.3)
    hear(first, 5, 4, 3, 2)
    second, twins, _ = started()
    for name, network in twins.items():
        network.load_state_dict(networks[name].state_dict())
    second.load({name: value.clone() for name, value in first.state().items()})
    hear(first, 9)
    hear(second, 9)
    assert first.row() == second.row()
    assert first.mask() == second.mask()


def test_at_the_end_networks_are_plain_and_pruned_weights_are_zero() -> None:
    made, networks, _ = started()
    names = {name: [key for key in network.state_dict() if "change" not in key] for name, network in networks.items()}
    raise_thresholds(made, 0.4)
    mask = made.mask()
    assert mask is not None
    made.finish(networks)
    assert made.mask() == mask
    for layer, now in raw(networks).items():
        assert torch.equal(now != 0, mask[layer])
    assert {name: list(network.state_dict()) for name, network in networks.items()} == names
    assert 0 < mask.kept < mask.size
