import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.conditional import ConditionalBatchNorm2d
from ticketlab.models.cost import NetworkCost, cost, layer_multiply_adds
from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.spec.model import Convnet, Lenet, Mlp, Resnet, Sngan

CIFAR = ImageShape(3, 32, 10)


def test_a_fully_connected_network_costs_one_multiply_add_per_weight():
    weights = 784 * 300 + 300 * 100 + 100 * 10
    shape = ImageShape(1, 28, 10)
    found = cost(build(Mlp(), shape, Key(0)), shape)
    assert found == {"classifier": NetworkCost(weights + 410, {"conv": 0, "linear": weights}, weights)}


def test_a_convolution_costs_its_weights_once_per_output_place():
    strided = nn.Conv2d(3, 8, 3, stride=2, padding=1, groups=1)
    assert cost({"net": strided}, CIFAR)["net"] == NetworkCost(224, {"conv": 216, "linear": 0}, 216 * 16 * 16)
    grouped = nn.Conv2d(3, 6, 5, groups=3)
    assert cost({"net": grouped}, CIFAR)["net"].multiply_adds == 6 * 25 * 28 * 28
    transposed = nn.ConvTranspose2d(3, 5, 4, stride=2)
    assert cost({"net": transposed}, CIFAR)["net"].multiply_adds == 3 * 32 * 32 * 5 * 16


@pytest.mark.parametrize("options", [Sngan(width=8, critic_width=8), Resnet(depth=8), Convnet(), Lenet(), Mlp()])
def test_multiply_adds_are_half_of_what_torch_counts(options):
    networks = build(options, CIFAR, Key(0))
    for name, found in cost(networks, CIFAR).items():
        network = networks[name].eval()
        entering = torch.randn(1, network.latent) if hasattr(network, "latent") else torch.randn(1, 3, 32, 32)
        with FlopCounterMode(display=False) as counter:
            network(entering)
        assert 2 * found.multiply_adds == counter.get_total_flops()


class Told(nn.Module):
    """A generator that is told classes."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(6, 4 * 64), ConditionalBatchNorm2d(4, 10)
        self.last = nn.Conv2d(4, 3, 3)

    def entering(self, count, key):
        return torch.zeros(count, 6), torch.zeros(count, dtype=torch.int64)

    def forward(self, latents, labels):
        return self.last(self.norm(self.first(latents).view(-1, 4, 8, 8), labels))


def test_a_generator_that_is_told_classes_costs_what_its_layers_do():
    found = cost({"generator": Told()}, CIFAR)["generator"]
    assert found.multiply_adds == 6 * 256 + 27 * 4 * 36
    assert found.parameters == 7 * 256 + 2 * 40 + 3 * (4 * 9 + 1)


def test_networks_are_left_alone():
    networks = build(Sngan(width=4, critic_width=4), CIFAR, Key(0))
    before = {name: tensor.clone() for name, tensor in networks["critic"].state_dict().items()}
    cost(networks, CIFAR)
    assert all(network.training for network in networks.values())
    assert all(torch.equal(before[name], tensor) for name, tensor in networks["critic"].state_dict().items())
    assert not any(module._forward_hooks for network in networks.values() for module in network.modules())


def test_networks_without_memory_cost_the_same():
    with torch.device("meta"):
        huge = build(Sngan(width=4096, critic_width=4096), CIFAR, Key(0))
        assert cost(huge, CIFAR)["critic"].prunable["conv"] == 4096**2 * (9 * 7 + 1) + 4096 * 3 * 10
        small = build(Resnet(depth=8), CIFAR, Key(0))
    assert cost(small, CIFAR) == cost(build(Resnet(depth=8), CIFAR, Key(0)), CIFAR)


def test_multiply_adds_have_the_names_of_the_weights_and_add_up():
    lenet = build(Lenet(channels=(2, 3), hidden=(6,)), ImageShape(1, 8, 10), Key(0))
    found = layer_multiply_adds(lenet, ImageShape(1, 8, 10))
    # 3 x 3 convolutions of 1 -> 2 and 2 -> 3 channels at 8 x 8, one pooling to 4 x 4.
    assert list(found.values()) == [9 * 2 * 64, 9 * 2 * 3 * 64, 3 * 16 * 6, 6 * 10]
    assert list(found) == list(prunable(lenet, ["classifier"], ["conv", "linear"]))
    networks = build(Sngan(width=4, critic_width=4), CIFAR, Key(0))
    found = layer_multiply_adds(networks, CIFAR)
    assert found.keys() == prunable(networks, ["generator", "critic"], ["conv", "linear"]).keys()
    assert sum(found.values()) == sum(one.multiply_adds for one in cost(networks, CIFAR).values())


class Twice(nn.Module):
    """A weight that two layers share, and a forward that looks at values if it is asked to."""

    def __init__(self, looks):
        super().__init__()
        self.one, self.two, self.looks = nn.Linear(48, 48), nn.Linear(48, 48), looks
        self.two.weight = self.one.weight

    def forward(self, images):
        once = self.one(images.flatten(1))
        return once if self.looks and float(once.sum()) > 0 else self.two(once)


def test_a_shared_weight_counts_for_every_use_and_what_needs_values_is_not_known():
    shape = ImageShape(3, 4, 10)
    assert layer_multiply_adds({"net": Twice(False)}, shape) == {"net.one.weight": 2 * 48 * 48}
    assert layer_multiply_adds({"net": Twice(True)}, shape) == {}
