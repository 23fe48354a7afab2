"""A layer whose weight is changed on the way: same function, gradients through the change, copies of its own, undone exactly."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.models.changed_weight import change_weight, settle, used_weight
from ticketlab.models.spectral import SpectralConv2d, SpectralLinear


class Half(nn.Module):
    """Keeps entries above a bound that is learned."""

    def __init__(self, bound: float = 0.0) -> None:
        super().__init__()
        self.bound = nn.Parameter(torch.tensor(bound))

    def forward(self, weight: Tensor) -> Tensor:
        return weight * (weight > self.bound)


LAYERS = {
    "conv": lambda: nn.Conv2d(3, 4, 3, stride=2, padding=1),
    "linear": lambda: nn.Linear(5, 4),
    "spectral conv": lambda: SpectralConv2d(3, 4, 3, padding=1),
    "spectral linear": lambda: SpectralLinear(5, 4),
}


def started(kind: str) -> tuple[nn.Module, Tensor]:
    layer = LAYERS[kind]()
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in layer.state_dict(keep_vars=True).values():
            value.copy_(torch.randn(value.shape, generator=source))
    inputs = torch.randn(2, 3, 6, 6, generator=source) if "conv" in kind else torch.randn(2, 5, generator=source)
    return layer.eval(), inputs


def expected(layer: nn.Module, inputs: Tensor, weight: Tensor) -> Tensor:
    if isinstance(layer, nn.Conv2d):
        return F.conv2d(inputs, weight, layer.bias, layer.stride, layer.padding)
    return F.linear(inputs, weight, layer.bias)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_computes_with_what_the_change_makes_of_the_weight_it_would_have_used(kind: str) -> None:
    layer, inputs = started(kind)
    used = used_weight(layer)
    change_weight(layer, Half())
    assert torch.equal(layer(inputs), expected(layer, inputs, used * (used > 0)))
    assert torch.equal(used_weight(layer), used), "the weight before the change is still to be had"


@pytest.mark.parametrize("kind", LAYERS)
def test_settling_leaves_a_plain_layer_of_the_same_function(kind: str) -> None:
    layer, inputs = started(kind)
    plain = type(layer)
    names = list(layer.state_dict())
    change_weight(layer, Half())
    network = nn.Sequential(layer)
    before = network(inputs)
    settle(network)
    assert type(layer) is plain
    assert list(layer.state_dict()) == names
    raw = layer.get_parameter("weight_orig" if "spectral" in kind else "weight")
    assert bool((raw >= 0).all())
    if "spectral" not in kind:
        assert torch.equal(network(inputs), before)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_copy_has_a_change_of_its_own_that_is_saved_with_it(kind: str) -> None:
    layer, inputs = started(kind)
    change_weight(layer, Half())
    twin = copy.deepcopy(layer)
    before = layer(inputs)
    twin.load_state_dict({**twin.state_dict(), "change.bound": torch.tensor(1e9)})
    assert torch.equal(layer(inputs), before)
    assert not torch.equal(twin(inputs), before)


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(3), nn.ConvTranspose2d(3, 3, 3)])
def test_layers_of_other_kinds_are_refused(layer: nn.Module) -> None:
    with pytest.raises(TypeError, match="cannot be changed"):
        change_weight(layer, Half())


def test_a_layer_is_changed_once() -> None:
    layer, _ = started("linear")
    change_weight(layer, Half())
    with pytest.raises(TypeError, match="cannot be changed"):
        change_weight(layer, Half())
