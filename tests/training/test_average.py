"""The moving average is the one of its definition, buffers included."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ticketlab.training.average import MovingAverage


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).double()


def wander(module: nn.Module, seed: int) -> None:
    """Give every floating-point tensor of a network new values, and count one batch."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in module.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=source, dtype=value.dtype))
            else:
                value.add_(1)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_after_n_updates_the_average_is_the_weighted_sum_of_all_that_was_seen(decay: float) -> None:
    module = network()
    average = MovingAverage(module, decay)
    seen = [{name: value.clone() for name, value in module.state_dict().items()}]
    for number in range(1, 9):
        wander(module, number)
        average.update()
        seen.append({name: value.clone() for name, value in module.state_dict().items()})
    last = len(seen) - 1
    for name, value in average.network.state_dict().items():
        if value.is_floating_point():
            weights = [decay**last, *((1 - decay) * decay ** (last - number) for number in range(1, last + 1))]
            expected = sum(weight * state[name] for weight, state in zip(weights, seen, strict=True))
            assert abs(sum(weights) - 1) < 1e-12
            torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
        else:
            assert value == seen[-1][name] == 8


def test_the_average_starts_as_the_network_and_is_apart_from_it() -> None:
    module = network()
    average = MovingAverage(module, 0.9)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    wander(module, 1)
    assert all(torch.equal(value, before[name]) for name, value in average.network.state_dict().items())
    changed = {name: value.clone() for name, value in module.state_dict().items()}
    average.update()
    assert all(torch.equal(value, changed[name]) for name, value in module.state_dict().items())


def test_the_average_learns_nothing_by_gradients_and_is_in_eval_mode() -> None:
    average = MovingAverage(network().train(), 0.9)
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
    assert not any(module.training for module in average.network.modules())


def test_a_saved_average_goes_on_following() -> None:
    module, other = network(), network()
    first, second = MovingAverage(module, 0.7), MovingAverage(other, 0.7)
    wander(module, 1)
    first.update()
    second.load({name: value.clone() for name, value in first.network.state_dict().items()})
    other.load_state_dict(module.state_dict())
    for followed, average in ((module, first), (other, second)):
        wander(followed, 2)
        average.update()
    theirs = second.network.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in first.network.state_dict().items())
