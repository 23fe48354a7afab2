"""Learning rates follow their closed forms, and an optimiser's state can be taken out and put back."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from ticketlab.errors import EnvironmentProblem
from ticketlab.spec.optimizer import Adam, Sgd
from ticketlab.spec.rate_schedule import Constant, Cosine, Linear, Milestones, RateSchedule
from ticketlab.spec.train import CrossEntropy
from ticketlab.training.optim import SteppedOptimizer, rate_factor


def objective(steps: int, schedule: RateSchedule, warmup: int = 0) -> CrossEntropy:
    return CrossEntropy(steps=steps, warmup=warmup, rate_schedule=schedule)


def factors(steps: int, schedule: RateSchedule, warmup: int = 0) -> list[float]:
    return [rate_factor(objective(steps, schedule, warmup), step) for step in range(steps)]


def test_a_constant_rate_stays() -> None:
    assert factors(7, Constant()) == [1.0] * 7


def test_a_linear_rate_would_reach_zero_one_step_after_the_last() -> None:
    assert factors(4, Linear()) == [1.0, 0.75, 0.5, 0.25]
    assert rate_factor(objective(4, Linear()), 4) == 0


def test_a_cosine_rate_is_half_a_cosine() -> None:
    expected = [0.5 * (1 + math.cos(math.pi * step / 100)) for step in range(100)]
    assert factors(100, Cosine()) == pytest.approx(expected, abs=1e-15)
    assert factors(100, Cosine())[50] == pytest.approx(0.5)
    assert rate_factor(objective(100, Cosine()), 100) == pytest.approx(0, abs=1e-15)


def test_milestones_multiply_from_the_step_that_reaches_their_share_on() -> None:
    schedule = Milestones(at=(0.5, 0.75), factor=0.1)
    assert factors(8, schedule) == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize("schedule", [Constant(), Linear(), Cosine(), Milestones(at=(0.9,))], ids=lambda one: one.kind)
def test_a_warm_up_rises_in_equal_parts_to_the_whole_rate(schedule: RateSchedule) -> None:
    assert factors(100, schedule, warmup=5)[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


@pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=lambda one: one.kind)
def test_after_the_warm_up_the_schedule_fills_what_is_left(schedule: RateSchedule) -> None:
    assert factors(25, schedule, warmup=5)[5:] == factors(20, schedule)


@pytest.mark.parametrize("schedule", [Constant(), Linear(), Cosine(), Milestones()], ids=lambda one: one.kind)
def test_a_rate_is_never_negative_nor_above_the_whole(schedule: RateSchedule) -> None:
    assert all(0 < factor <= 1 for factor in factors(1000, schedule, warmup=10))


def layer(value: float = 1.0) -> nn.Linear:
    made = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(made.weight, value)
    return made


def descend(optimizer: SteppedOptimizer, module: nn.Linear, steps: range) -> None:
    """Steps of slope one everywhere."""
    for step in steps:
        optimizer.zero_grad()
        module.weight.sum().backward()
        optimizer.step(step)


@pytest.mark.parametrize("schedule", [Linear(), Cosine(), Milestones(at=(0.3,), factor=0.5)], ids=lambda one: one.kind)
def test_plain_descent_moves_by_the_rate_of_each_step(schedule: RateSchedule) -> None:
    module, asked = layer(), objective(10, schedule, warmup=2)
    optimizer = SteppedOptimizer(dict(module.named_parameters()), Sgd(lr=0.1, momentum=0, weight_decay=0), asked)
    descend(optimizer, module, range(10))
    assert module.weight.item() == pytest.approx(1 - 0.1 * sum(factors(10, schedule, warmup=2)), abs=1e-14)


def test_momentum_adds_up_as_it_should() -> None:
    module = layer()
    optimizer = SteppedOptimizer(
        dict(module.named_parameters()), Sgd(lr=0.1, momentum=0.9, weight_decay=0), objective(5, Constant())
    )
    descend(optimizer, module, range(5))
    speeds = [sum(0.9**power for power in range(step + 1)) for step in range(5)]
    assert module.weight.item() == pytest.approx(1 - 0.1 * sum(speeds), abs=1e-14)


def test_weight_decay_is_an_l2_term_of_the_gradient() -> None:
    module = layer(2.0)
    optimizer = SteppedOptimizer(
        dict(module.named_parameters()), Sgd(lr=0.1, momentum=0, weight_decay=0.5), objective(1, Constant())
    )
    descend(optimizer, module, range(1))
    assert module.weight.item() == pytest.approx(2 - 0.1 * (1 + 0.5 * 2), abs=1e-15)


def test_adam_moves_by_the_whole_rate_where_the_slope_is_constant() -> None:
    module = layer()
    optimizer = SteppedOptimizer(
        dict(module.named_parameters()), Adam(lr=0.01, beta1=0.5, beta2=0.9), objective(20, Constant())
    )
    descend(optimizer, module, range(20))
    assert module.weight.item() == pytest.approx(1 - 20 * 0.01, abs=1e-6)


@pytest.mark.parametrize(
    "options",
    [Adam(weight_decay=0.01), Sgd(lr=0.01), Sgd(lr=0.01, momentum=0), Sgd(lr=0.01, nesterov=True)],
    ids=["adam", "momentum", "plain", "nesterov"],
)
def test_moments_that_were_saved_go_on_as_if_never_taken_out(options: Any) -> None:
    def net() -> nn.Sequential:
        made = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(3, 1)).to(memory_format=torch.channels_last)
        for number, parameter in enumerate(made.parameters()):
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(number))
        return made

    def train(module: nn.Module, optimizer: SteppedOptimizer, steps: range) -> None:
        for step in steps:
            images = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(step))
            optimizer.zero_grad()
            module(images).pow(2).mean().backward()
            optimizer.step(step)

    asked = objective(6, Cosine())
    straight = net()
    train(straight, SteppedOptimizer(dict(straight.named_parameters()), options, asked), range(6))
    first, second = net(), net()
    before = SteppedOptimizer(dict(first.named_parameters()), options, asked)
    train(first, before, range(3))
    second.load_state_dict(first.state_dict())
    after = SteppedOptimizer(dict(second.named_parameters()), options, asked)
    after.load({name: value.clone(memory_format=torch.contiguous_format) for name, value in before.state().items()})
    assert after.state().keys() == before.state().keys()
    train(second, after, range(3, 6))
    for mine, theirs in zip(second.parameters(), straight.parameters(), strict=True):
        assert bool(theirs.isfinite().all())
        assert torch.equal(mine, theirs)


def test_an_optimiser_that_has_not_stepped_has_no_state() -> None:
    module = layer()
    assert SteppedOptimizer(dict(module.named_parameters()), Adam(), objective(1, Constant())).state() == {}


class Counting(torch.optim.SGD):
    """Remembers how often it stepped, in its group."""

    def step(self, closure=None):  # type: ignore[no-untyped-def]
        self.param_groups[0]["count"] = self.param_groups[0].get("count", 0) + 1
        return super().step(closure)


def test_an_optimiser_that_remembers_more_than_tensors_is_refused_before_a_checkpoint_lies() -> None:
    weight = nn.Parameter(torch.ones(2))
    stepped = SteppedOptimizer({"weight": weight}, Sgd(), CrossEntropy(steps=5))
    stepped._optimizer = Counting([weight], lr=0.1)
    stepped._optimizer.param_groups[0]["count"] = 0
    stepped._given = dict(stepped._optimizer.param_groups[0])
    assert stepped.state() == {}
    weight.grad = torch.ones(2)
    stepped.step(0)
    with pytest.raises(EnvironmentProblem, match="count"):
        stepped.state()
