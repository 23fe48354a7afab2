"""Private copies: the network's function under a mask, nothing shared, and memory that is used again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.private_copies import PrivateCopies
from ticketlab.models.prunable import prunable
from ticketlab.models.subsample import subsample_first
from ticketlab.randomness import Key
from ticketlab.spec.model import Lenet, ModelChoice, Resnet, Sngan
from ticketlab.tickets.mask import Mask

SHAPE = ImageShape(3, 32, 10)
MODELS = {"resnet": Resnet(depth=8, width=4), "lenet": Lenet(channels=(3, 4), hidden=(6,)), "sngan": Sngan(width=4)}


def made(model: ModelChoice) -> dict[str, nn.Module]:
    networks = build(model, SHAPE, Key(0))
    for network in networks.values():
        subsample_first(network)
        network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return networks


def mask_of(networks: dict[str, nn.Module]) -> Mask:
    weights = prunable(networks, tuple(networks), ("conv", "linear"))
    source = torch.Generator().manual_seed(1)
    return Mask({name: torch.rand(one.parameter.shape, generator=source) < 0.5 for name, one in weights.items()})


def inputs(name: str, network: nn.Module) -> Tensor:
    shape = (2, network.latent) if name == "generator" else (2, 3, 32, 32)
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))  # type: ignore[arg-type]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("precision", [None, torch.float64])
def test_a_copy_is_the_masked_network_in_the_precision_asked_for(model: str, precision: torch.dtype | None) -> None:
    networks = made(MODELS[model])
    mask = mask_of(networks)
    copies = PrivateCopies(networks).make(dict(mask), precision)
    for name, network in networks.items():
        plain = copy.deepcopy(network)
        with torch.no_grad():
            for layer, kept in mask.items():
                if layer.startswith(f"{name}."):
                    plain.get_parameter(layer.removeprefix(f"{name}.")).mul_(kept)
        plain.to(precision)
        given = inputs(name, network).to(precision)
        assert torch.equal(copies[name](given), plain(given))
        assert list(copies[name].state_dict()) == list(plain.state_dict())
        pairs = zip(copies[name].state_dict().values(), plain.state_dict().values(), strict=True)
        assert all(torch.equal(one, other) and one.stride() == other.stride() for one, other in pairs)
        assert all(parameter.requires_grad for parameter in copies[name].parameters())


@pytest.mark.parametrize("model", MODELS)
def test_whatever_is_done_to_a_copy_the_network_and_the_next_copy_are_as_before(model: str) -> None:
    networks = made(MODELS[model])
    mask = mask_of(networks)
    room = PrivateCopies(networks)
    before = {name: copy.deepcopy(network.state_dict()) for name, network in networks.items()}
    first = room.make(dict(mask), torch.float64)
    expected = {name: copy.deepcopy(network.state_dict()) for name, network in first.items()}
    for network in first.values():
        network.train()
        network.requires_grad_(False)
        with torch.no_grad():
            for tensor in network.state_dict().values():
                tensor.fill_(7)
        for module in network.modules():
            module.register_forward_hook(lambda *_: None)
            module._parameters.clear()
    room.begin()
    second = room.make(dict(mask), torch.float64)
    for name, network in networks.items():
        assert not network.training
        assert not any(module._forward_hooks for module in network.modules())
        assert all(torch.equal(value, before[name][key]) for key, value in network.state_dict().items())
        assert not any(module.training or module._forward_hooks for module in second[name].modules())
        assert all(torch.equal(value, expected[name][key]) for key, value in second[name].state_dict().items())


def test_copies_of_one_round_share_nothing_and_those_of_the_next_take_their_memory() -> None:
    networks = made(MODELS["lenet"])
    room = PrivateCopies(networks)

    def places() -> set[int]:
        return {tensor.data_ptr() for tensor in room.make({}, torch.float64)["classifier"].parameters()}

    first, second = places(), places()
    room.begin()
    assert first.isdisjoint(second)
    assert places() == first
    assert places() == second
    assert first.isdisjoint({tensor.data_ptr() for tensor in networks["classifier"].parameters()})


def test_a_tensor_that_layers_share_is_one_in_the_copy() -> None:
    shared = nn.Linear(4, 4)
    network = nn.Sequential(shared, nn.ReLU(), shared)
    (copied,) = PrivateCopies({"net": network}).make({}).values()
    assert copied[0].weight is copied[2].weight  # type: ignore[index]
    assert copied[0].weight is not shared.weight  # type: ignore[index]


def test_a_copy_whose_network_is_held_stays_as_it_is_and_its_memory_is_used_again_once_it_is_not() -> None:
    networks = made(MODELS["resnet"])
    mask = mask_of(networks)
    room = PrivateCopies(networks)
    held = room.make(dict(mask), torch.float64)["classifier"]
    place = next(held.parameters()).data_ptr()
    before = copy.deepcopy(held.state_dict())
    for _ in range(2):
        room.begin()
        other = room.make({}, torch.float64)["classifier"]
        assert next(other.parameters()).data_ptr() != place
        assert all(torch.equal(value, before[name]) for name, value in held.state_dict().items())
        del other
    del held
    room.begin()
    assert next(room.make({}, torch.float64)["classifier"].parameters()).data_ptr() == place


def test_layers_that_attributes_hold_are_the_copys_own_and_are_in_eval_mode() -> None:
    """A list that is no ModuleList, a bound method, a layer under two names: nothing of the copy leads to the network."""

    class Held(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)
            self.again, self.dropout = self.first, nn.Dropout(0.5)
            self._order = [self.first, self.dropout]
            self.head = self.judge
            self.seen = self.first(torch.ones(1, 3))

        def judge(self, features: Tensor) -> Tensor:
            return self.last(features)

        def forward(self, given: Tensor) -> Tensor:
            for layer in self._order:
                given = layer(given)
            return self.head(given)

    network = Held()
    (copied,) = PrivateCopies({"net": network}).make({"net.first.weight": torch.zeros(4, 3)}).values()
    assert network.training
    assert not any(module.training for module in copied.modules())
    given = torch.ones(5, 3)
    assert torch.equal(copied(given), network.last(network.first.bias.expand(5, 4)))
    assert copied.again.weight is copied.first.weight is copied._order[0].weight is not network.first.weight
    assert copied.head.__self__ is copied
    copied(given).sum().backward()
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(parameter.grad is not None for parameter in copied.parameters())


class Listed(nn.Module):
    """Layers that stand in plain containers as well, nested, and in a hook."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.plain = [self.first, {"then": (nn.ReLU(), self.second)}]
        self.weights = [self.third.weight]
        self.third.register_forward_hook(self.doubled)

    def doubled(self, *passed: Any) -> Any:
        return passed[-1] * self.first.bias.mean()

    def forward(self, values: Any) -> Any:
        relu, second = self.plain[1]["then"]
        third = self.third(second(relu(self.plain[0](values))))
        return third + nn.functional.linear(values, self.weights[0])


@pytest.mark.parametrize("precision", [None, torch.float64])
def test_layers_in_plain_containers_and_hooks_are_those_of_the_copy(precision: torch.dtype | None) -> None:
    network = Listed()
    masks = {name: torch.zeros_like(weight) for name, weight in network.named_parameters() if "second.w" in name}
    (copied,) = (
        PrivateCopies({"net": network}).make({f"net.{name}": kept for name, kept in masks.items()}, precision).values()
    )
    expected = copy.deepcopy(network).to(precision)
    nn.init.zeros_(expected.second.weight)
    values = torch.randn(3, 4, dtype=precision, generator=torch.Generator().manual_seed(0))
    assert torch.equal(copied(values), expected(values))
    copied(values).sum().backward()
    assert all(parameter.grad is not None for parameter in copied.parameters())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_copy_of_a_layer_that_stands_in_two_places_is_left_as_it_was_by_a_call_with_other_weights() -> None:
    shared = nn.Linear(4, 4)
    (copied,) = PrivateCopies({"net": nn.Sequential(shared, nn.ReLU(), shared)}).make({}).values()
    values = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    before = copied(values)
    other = torch.func.functional_call(copied, {"0.weight": torch.zeros(4, 4), "0.bias": torch.ones(4)}, (values,))
    assert torch.equal(other, torch.ones(3, 4))
    assert torch.equal(copied(values), before)
