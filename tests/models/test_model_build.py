from typing import ClassVar

import pytest
import torch

from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import EnvironmentProblem
from ticketlab.models.build import build
from ticketlab.randomness import Key
from ticketlab.spec.model import Convnet, Lenet, Mlp, Resnet, Sngan

CIFAR = ImageShape(3, 32, 10)
FAMILIES = [
    Sngan(width=4, critic_width=4),
    Mlp(hidden=(8,)),
    Lenet(channels=(2, 2)),
    Resnet(depth=8, width=2),
    Convnet(),
]


class Elsewhere(Mlp):
    made_by: ClassVar[str] = "no_such_package.anywhere:build"


class Misspelt(Mlp):
    made_by: ClassVar[str] = "ticketlab.models.mlp:bluepirnt"


class Renamed(Mlp):
    networks: ClassVar[tuple[str, ...]] = ("student", "teacher")


@pytest.mark.parametrize("options", FAMILIES)
def test_every_family_makes_the_networks_it_promises_in_order(options):
    assert tuple(build(options, CIFAR, Key(0))) == options.networks


@pytest.mark.parametrize("options", FAMILIES)
def test_the_same_key_gives_the_same_bits_and_touches_no_global_state(options):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = build(options, CIFAR, Key(3))
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(3)
    second = build(options, CIFAR, Key(3))
    for name, network in first.items():
        assert network.training
        assert all(parameter.requires_grad for parameter in network.parameters())
        assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())
        assert all(torch.equal(tensor, second[name].state_dict()[key]) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize("options", FAMILIES)
def test_every_family_can_be_built_without_memory(options):
    with torch.device("meta"):
        networks = build(options, CIFAR, Key(0))
    assert all(tensor.is_meta for network in networks.values() for tensor in network.state_dict().values())


@pytest.mark.parametrize(
    ("options", "said"), [(Elsewhere(), "no_such_package"), (Misspelt(), "bluepirnt"), (Renamed(), "student, teacher")]
)
def test_a_builder_that_is_missing_or_breaks_its_promise_is_named(options, said):
    with pytest.raises(EnvironmentProblem, match=said) as caught:
        build(options, CIFAR, Key(0))
    assert caught.value.mend
