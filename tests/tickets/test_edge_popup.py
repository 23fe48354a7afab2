"""Edge-popup: exactly as many kept as asked, straight-through gradients for all, weights that never move."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.spec.ticket import EdgePopup
from ticketlab.tickets.edge_popup import Searched, wearing


def network() -> nn.Sequential:
    source = torch.Generator().manual_seed(0)
    made = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source))
    return made


def searched(module: nn.Sequential, **options: object) -> Searched:
    networks = {"net": module}
    weights = prunable(networks, ("net",), ("linear",))
    made = wearing(EdgePopup(**{"density": 0.3, **options}), networks, weights, 10, Key(4))  # type: ignore[arg-type]
    found = made.worn["net"]
    assert isinstance(found, Searched)
    return found


def magnitudes(search: Searched) -> dict[str, Tensor]:
    return {layer: score.detach().abs() for layer, score in search.learns().items()}


@pytest.mark.parametrize("density", [0.01, 0.1, 0.3, 0.5, 0.9, 1.0])
def test_every_layer_keeps_exactly_its_share_and_its_highest_scores(density: float) -> None:
    search = searched(network(), density=density)
    for layer, kept in search.mask().items():
        score = magnitudes(search)[layer]
        assert int(kept.count_nonzero()) == math.ceil(Fraction(str(density)) * kept.numel())
        if not kept.all():
            assert score[kept].min() >= score[~kept].max()


def test_a_global_threshold_is_one_for_all_layers() -> None:
    search = searched(network(), scope={"kind": "global"})
    mask, scores = search.mask(), magnitudes(search)
    lowest_kept = min(float(scores[layer][kept].min()) for layer, kept in mask.items() if kept.any())
    highest_pruned = max(float(scores[layer][~kept].max()) for layer, kept in mask.items() if not kept.all())
    assert lowest_kept >= highest_pruned
    assert mask.kept == math.ceil(Fraction("0.3") * mask.size)


def test_equal_scores_are_kept_in_the_order_of_their_index() -> None:
    search = searched(network(), density=0.5, scope={"kind": "global"})
    search.load({layer: torch.full_like(score, -0.25) for layer, score in search.learns().items()})
    bits = torch.cat([kept.reshape(-1) for kept in search.mask().values()])
    assert bits.tolist() == [True] * 28 + [False] * 28


def test_the_network_computes_with_frozen_weights_under_the_mask() -> None:
    module = network()
    frozen = {f"net.{name}": weight.detach().clone() for name, weight in module.named_parameters()}
    search = searched(module)
    search.put_on()
    for layer, kept in search.mask().items():
        assert torch.equal(module.get_parameter(layer.removeprefix("net.")), frozen[layer] * kept)


def test_scores_get_the_gradient_of_their_weight_straight_through_the_mask() -> None:
    module = network()
    frozen = {f"net.{name}": weight.detach().clone() for name, weight in module.named_parameters()}
    search = searched(module)
    with torch.no_grad():
        next(iter(search.learns().values())).view(-1)[0] = 0  # a score without a direction stays where it is
    search.put_on()
    images = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    module(images).square().sum().backward()
    raw = {layer: module.get_parameter(layer.removeprefix("net.")).grad for layer in search.learns()}
    search.after_backward(0)
    for layer, score in search.learns().items():
        expected = raw[layer] * frozen[layer] * score.detach().sign()
        assert score.grad is not None
        assert torch.equal(score.grad, expected)
        assert (score.grad[~search.mask()[layer]] != 0).any(), "pruned entries learn too"


def test_nothing_but_scores_learns_and_pruned_weights_come_back_as_they_were() -> None:
    module = network()
    frozen = {name: value.clone() for name, value in module.state_dict().items()}
    search = searched(module)
    search.put_on()
    optimizer = torch.optim.SGD(list(search.learns().values()), lr=10.0)
    images = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    seen = {search.mask().digest()}
    for _ in range(20):
        module(images).square().sum().backward()
        search.after_backward(0)
        optimizer.step()
        search.after_step(0)
        seen.add(search.mask().digest())
        for layer, kept in search.mask().items():
            name = layer.removeprefix("net.")
            assert torch.equal(module.get_parameter(name), frozen[name] * kept)
    assert len(seen) > 1, "the mask never changed"
    assert all(torch.equal(module.get_parameter(name), frozen[name]) for name in ("0.bias", "2.bias"))


def test_a_search_goes_on_from_its_state_and_from_nothing_else() -> None:
    first, second = searched(network()), searched(network())
    state = {layer: score + 0.01 * torch.arange(score.numel()).view_as(score) for layer, score in first.state().items()}
    first.load(state)
    assert first.mask() != second.mask()
    second.load({layer: value.clone() for layer, value in first.state().items()})
    assert first.mask() == second.mask()


def test_initial_scores_depend_on_key_and_layer_alone() -> None:
    one, two = searched(network()), searched(network())
    assert all(torch.equal(one.learns()[layer], two.learns()[layer]) for layer in one.learns())
    bound = EdgePopup(density=0.3).score_bound
    assert all(score.abs().max() <= bound for score in one.learns().values())
