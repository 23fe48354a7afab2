import copy

import pytest
import torch
from torch import nn

from ticketlab.models.spectral import (
    SpectralConv2d,
    SpectralLinear,
    leading_vectors,
)

LAYERS = {
    "conv": lambda: (SpectralConv2d(3, 6, 3, padding=1), nn.Conv2d(3, 6, 3, padding=1), (4, 3, 5, 5)),
    "conv1x1": lambda: (SpectralConv2d(3, 6, 1, bias=False), nn.Conv2d(3, 6, 1, bias=False), (4, 3, 5, 5)),
    "linear": lambda: (SpectralLinear(7, 5), nn.Linear(7, 5), (4, 7)),
    "one_output": lambda: (SpectralLinear(7, 1, bias=False), nn.Linear(7, 1, bias=False), (4, 7)),
}


def pair(kind: str, layout: torch.memory_format):
    """Our layer and torch's hooked one with the same state, float64, and an input."""
    torch.manual_seed(3)
    ours, plain, entering = LAYERS[kind]()
    theirs = nn.utils.spectral_norm(plain.double())
    ours.double().load_state_dict(theirs.state_dict())
    inputs = torch.randn(entering, dtype=torch.float64)
    if len(entering) == 4:
        ours, theirs, inputs = (thing.to(memory_format=layout) for thing in (ours, theirs, inputs))
    return ours, theirs, inputs


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kind", LAYERS)
def test_outputs_gradients_and_vectors_equal_torchs_hook_over_several_steps(kind, layout):
    ours, theirs, inputs = pair(kind, layout)
    optimisers = [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in (ours, theirs)]
    for step in range(5):
        for layer, optimiser in zip((ours, theirs), optimisers, strict=True):
            optimiser.zero_grad()
            # Two forwards before one backward, as a critic meets reals and fakes; the first one's vectors must survive.
            (layer(inputs).square().mean() - 0.3 * layer(inputs + step).sin().sum()).backward()
            optimiser.step()
        for name, tensor in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], tensor, rtol=1e-9, atol=1e-11)
        for name, parameter in theirs.named_parameters():
            torch.testing.assert_close(ours.get_parameter(name).grad, parameter.grad, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(ours.eval()(inputs), theirs.eval()(inputs), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", LAYERS)
def test_names_in_the_state_dict_are_those_of_torchs_hook_in_the_same_order(kind):
    ours, theirs, _ = pair(kind, torch.contiguous_format)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]


def test_a_channels_last_weight_gives_a_channels_last_effective_weight_and_gradient():
    ours, _, inputs = pair("conv", torch.channels_last)
    effective = ours.effective_weight()
    assert effective.is_contiguous(memory_format=torch.channels_last)
    ours(inputs).sum().backward()
    assert ours.weight_orig.grad.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("layer", "basis"),
    [
        (SpectralConv2d(2, 2, (2, 1), bias=False), (4, 2, 2, 1)),
        (SpectralConv2d(3, 2, 1, bias=False), (3, 3, 1, 1)),
        (SpectralLinear(3, 2, bias=False), (3, 3)),
    ],
)
def test_first_and_second_derivatives_hold_the_vectors_constant(layer, basis):
    layer.double().eval()
    torch.manual_seed(6)
    raw = torch.randn(layer.weight_orig.shape, dtype=torch.float64, requires_grad=True)
    layer.weight_u.copy_(torch.randn_like(layer.weight_u))
    layer.weight_v.copy_(torch.randn_like(layer.weight_v))
    unit_inputs = torch.eye(basis[0], dtype=torch.float64).view(basis)

    def effective(raw):
        return torch.func.functional_call(layer, {"weight_orig": raw}, unit_inputs)

    assert torch.autograd.gradcheck(effective, raw)
    assert torch.autograd.gradgradcheck(effective, raw)


def test_evaluation_mode_moves_nothing_and_training_mode_moves_both_vectors():
    ours, _, inputs = pair("conv", torch.contiguous_format)
    before = copy.deepcopy(ours.state_dict())
    ours.eval()(inputs)
    assert all(torch.equal(before[name], tensor) for name, tensor in ours.state_dict().items())
    ours.train()(inputs)
    assert not torch.equal(before["weight_u"], ours.weight_u)
    assert not torch.equal(before["weight_v"], ours.weight_v)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_weight_pruned_to_nothing_gives_zeros_and_recovers_when_it_regrows(dtype):
    ours, _, inputs = pair("linear", torch.contiguous_format)
    ours, inputs = ours.to(dtype), inputs.to(dtype)
    ours(inputs)
    raw, u, v = ours.weight_orig.detach().clone(), ours.weight_u.clone(), ours.weight_v.clone()
    with torch.no_grad():
        ours.weight_orig.zero_()
    for mode in (True, False):
        ours.train(mode)
        assert torch.equal(ours.effective_weight(), torch.zeros_like(raw))
        ours(inputs).sum().backward()
        assert torch.isfinite(ours.weight_orig.grad).all()
    torch.testing.assert_close(ours.weight_u, u)
    torch.testing.assert_close(ours.weight_v, v)
    with torch.no_grad():
        ours.weight_orig.copy_(raw)
    torch.testing.assert_close(
        ours.train().effective_weight(), raw / torch.linalg.matrix_norm(raw, 2), rtol=0.2, atol=0.02
    )


def test_forwards_under_bfloat16_autocast_keep_the_vectors_in_full_precision():
    torch.manual_seed(4)
    layer, inputs = SpectralConv2d(3, 6, 3), torch.randn(2, 3, 5, 5)
    for buffer in (layer.weight_u, layer.weight_v):
        nn.init.normal_(buffer)
    other = copy.deepcopy(layer)
    layer(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        assert other(inputs).dtype == torch.bfloat16
    assert torch.equal(layer.weight_u, other.weight_u)
    assert torch.equal(layer.weight_v, other.weight_v)


def test_power_iterations_at_the_start_approach_the_largest_singular_value():
    torch.manual_seed(5)
    weight = torch.randn(8, 3, 3, 3)
    u, v = leading_vectors(weight, torch.randn(8), iterations=200)
    largest = torch.linalg.matrix_norm(weight.double().flatten(1), 2)
    torch.testing.assert_close(u @ weight.double().flatten(1) @ v, largest)
