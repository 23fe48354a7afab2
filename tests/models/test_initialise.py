import math

import pytest
import torch
from torch import nn

from ticketlab.models.initialise import (
    constant,
    fans,
    framework_default,
    initialise,
    kaiming_normal,
    normal,
    uniform,
    xavier_normal,
    xavier_uniform,
)
from ticketlab.models.spectral import SpectralConv2d
from ticketlab.randomness import Key

KEY = Key(7)
WEIGHT = torch.Size((64, 32, 3, 3))


def made(*names: str, title: str = "net", key: Key = KEY) -> dict[str, torch.Tensor]:
    """The tensors of a network whose layers are registered in the order of `names`."""
    layers = {
        "conv": lambda: nn.Conv2d(3, 8, 3),
        "norm": lambda: nn.BatchNorm2d(8),
        "spectral": lambda: SpectralConv2d(8, 8, 3),
        "fc": lambda: nn.Linear(8, 10),
    }
    with torch.device("meta"):
        network = nn.ModuleDict({name: layers[name]() for name in names})
    initialise({title: network}, scheme, key)
    return network.state_dict()


def scheme(layer):
    return (constant(1.0), constant(0.0)) if isinstance(layer, nn.BatchNorm2d) else framework_default(layer)


def test_numbers_do_not_depend_on_the_order_or_presence_of_other_layers():
    everything, backwards = made("conv", "norm", "spectral", "fc"), made("fc", "spectral", "norm", "conv")
    alone = made("spectral")
    assert everything.keys() == backwards.keys()
    assert all(torch.equal(everything[name], backwards[name]) for name in everything)
    assert all(torch.equal(everything[name], alone[name]) for name in alone)


def test_each_parameter_is_drawn_from_the_generator_of_its_own_address():
    weight = made("conv")["conv.weight"]
    drawn = uniform(1 / math.sqrt(27))(weight.shape, KEY.of("init", "net", "conv.weight").generator())
    assert torch.equal(weight, drawn)


def test_seed_and_network_name_change_the_numbers():
    one, other_seed, other_title = made("conv"), made("conv", key=Key(8)), made("conv", title="critic")
    assert not torch.equal(one["conv.weight"], other_seed["conv.weight"])
    assert not torch.equal(one["conv.weight"], other_title["conv.weight"])


def test_the_global_generator_is_neither_read_nor_advanced():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = made("conv", "norm", "spectral", "fc")
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert all(torch.equal(tensor, one[name]) for name, tensor in made("conv", "norm", "spectral", "fc").items())


def test_a_default_type_of_double_gets_the_same_numbers():
    single = made("conv", "fc")
    torch.set_default_dtype(torch.float64)
    try:
        double = made("conv", "fc")
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(
        double[name].dtype == torch.float64 and torch.equal(double[name].float(), single[name]) for name in single
    )


def test_under_the_meta_device_networks_stay_without_memory():
    with torch.device("meta"):
        assert all(tensor.is_meta for tensor in made("conv", "norm", "spectral", "fc").values())


def test_batch_normalisation_starts_with_fresh_statistics():
    state = made("norm")
    assert torch.equal(state["norm.running_mean"], torch.zeros(8))
    assert torch.equal(state["norm.running_var"], torch.ones(8))
    assert state["norm.num_batches_tracked"] == 0


def test_spectral_vectors_start_as_unit_vectors_near_the_leading_ones():
    state = made("spectral")
    u, v = state["spectral.weight_u"], state["spectral.weight_v"]
    assert u.norm().item() == pytest.approx(1, abs=1e-6)
    assert v.norm().item() == pytest.approx(1, abs=1e-6)
    matrix = state["spectral.weight_orig"].flatten(1)
    largest = torch.linalg.matrix_norm(matrix, 2)
    assert 0.95 * largest < u @ matrix @ v <= largest * (1 + 1e-6)


def test_fans_count_the_kernel():
    assert fans(WEIGHT) == (32 * 9, 64 * 9)
    assert fans(torch.Size((10, 84))) == (84, 10)


@pytest.mark.parametrize(
    ("draw", "bound"),
    [
        (xavier_uniform(), math.sqrt(6 / (96 * 9))),
        (xavier_uniform(2.0), 2 * math.sqrt(6 / (96 * 9))),
        (uniform(0.3), 0.3),
    ],
)
def test_uniform_draws_fill_their_interval_evenly(draw, bound):
    numbers = draw(WEIGHT, KEY.generator())
    assert numbers.abs().max() <= bound
    assert numbers.abs().max() > 0.999 * bound
    assert numbers.mean().abs() < 0.02 * bound
    assert numbers.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize(
    ("draw", "mean", "std"),
    [
        (kaiming_normal("in"), 0, math.sqrt(2 / (32 * 9))),
        (kaiming_normal("out", 1.0), 0, math.sqrt(1 / (64 * 9))),
        (xavier_normal(), 0, math.sqrt(2 / (96 * 9))),
        (normal(1.0, 0.02), 1, 0.02),
    ],
)
def test_normal_draws_have_the_mean_and_spread_of_their_formula(draw, mean, std):
    numbers = draw(WEIGHT, KEY.generator())
    assert numbers.dtype == torch.float32
    assert numbers.mean().item() == pytest.approx(mean, abs=0.03 * std)
    assert numbers.std().item() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("make", [lambda: nn.Conv2d(16, 512, 3), lambda: nn.Linear(144, 4096)])
def test_the_framework_default_has_the_bounds_of_torchs_own_start(make):
    torch.manual_seed(0)
    layer = make()
    weight, bias = framework_default(layer)
    for draw, parameter in ((weight, layer.weight), (bias, layer.bias)):
        ours = draw(parameter.shape, KEY.generator())
        assert ours.abs().max().item() == pytest.approx(parameter.abs().max().item(), rel=0.01)
        assert ours.std().item() == pytest.approx(parameter.std().item(), rel=0.05)
