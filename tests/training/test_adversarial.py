"""The adversarial losses are those of the papers, and a step is n_critic critic updates and one generator update."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ticketlab.training.adversarial import HINGE, NON_SATURATING
from ticketlab.training.setup import tensors_of

REAL = torch.tensor([-2, -1, -0.5, 0, 0.5, 1, 1.5, 3]).unsqueeze(1)
FAKE = torch.tensor([2, 1, 0.5, 0, -0.5, -1, -1.5, -3]).unsqueeze(1)


def test_the_hinge_loss_of_eight_scores() -> None:
    assert HINGE.critic(REAL, FAKE).item() == 2.0
    assert HINGE.generator(FAKE).item() == 0.3125


def test_the_hinge_loss_ignores_scores_beyond_the_margin() -> None:
    assert HINGE.critic(torch.tensor([[1.0], [9.0]]), torch.tensor([[-1.0], [-9.0]])).item() == 0


def test_the_logistic_loss_is_the_mean_negative_log_likelihood() -> None:
    def minus_log_sigmoid(x: float) -> float:
        return math.log1p(math.exp(-x))

    critic = sum(minus_log_sigmoid(x) for x in REAL.flatten().tolist()) / 8
    critic += sum(minus_log_sigmoid(-x) for x in FAKE.flatten().tolist()) / 8
    assert NON_SATURATING.critic(REAL, FAKE).item() == pytest.approx(critic, rel=1e-6)
    generator = sum(minus_log_sigmoid(x) for x in FAKE.flatten().tolist()) / 8
    assert NON_SATURATING.generator(FAKE).item() == pytest.approx(generator, rel=1e-6)


def test_the_logistic_loss_has_a_slope_where_the_critic_is_sure() -> None:
    """Non-saturating: a fake that is seen through is still told where to go."""
    fake = torch.full((1, 1), -30.0, requires_grad=True)
    NON_SATURATING.generator(fake).backward()
    assert fake.grad is not None
    assert fake.grad.item() == pytest.approx(-1)


def test_real_and_fake_scores_may_differ_in_number() -> None:
    assert HINGE.critic(REAL[:2], FAKE).item() == pytest.approx((3 + 2) / 2 + 1.0)


def test_a_step_updates_the_critic_n_times_and_the_generator_once(bench: Callable[..., Any]) -> None:
    training = bench("hinge").training()
    for number in range(2):
        training.step(number)
    counts = {
        network: {
            float(value) for name, value in training.state().items() if name.startswith(f"optimizer.{network}.step.")
        }
        for network in ("generator", "critic")
    }
    assert counts == {"generator": {2.0}, "critic": {4.0}}


def test_inputs_are_all_that_a_player_is_given_labels_included(bench: Callable[..., Any]) -> None:
    training = bench("hinge").training()
    _, labels = training._setup.batches.at(1)
    noise, images = training.inputs(1)["generator"][0], training.inputs(1)["critic"][0]
    assert [len(given) for given in training.inputs(1).values()] == [1, 2]
    assert torch.equal(training.inputs(1)["critic"][1], labels)
    assert torch.equal(images, training.real(1)[0])
    plain = training.generator.entering
    training.generator.entering = lambda count, key: (*plain(count, key), torch.arange(count))
    told = training.inputs(1)["generator"]
    assert torch.equal(told[0], noise)
    assert torch.equal(told[1], torch.arange(3))


def test_every_critic_update_sees_a_batch_of_its_own(bench: Callable[..., Any]) -> None:
    training = bench("hinge").training()
    seen: list[int] = []
    batches = training._setup.batches
    at = batches.at
    batches.at = lambda number: (seen.append(number), at(number))[1]
    for number in range(3):
        training.step(number)
    assert seen == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("objective", ["hinge", "adversarial_features"])
def test_neither_player_moves_the_other(bench: Callable[..., Any], objective: str) -> None:
    training = bench(objective).training()
    state = {name: value.clone() for name, value in tensors_of(training.trained()).items()}
    training._update_critic(0, 0)
    assert moved(training, state) == {"critic"}
    state = {name: value.clone() for name, value in tensors_of(training.trained()).items()}
    training.critic.requires_grad_(False)
    training._update_generator(0)
    assert "generator" in moved(training, state)
    assert not any(
        name.endswith(("weight", "weight_orig", "bias")) for name in changed(training, state) if "critic" in name
    )


def changed(training: Any, before: dict[str, Tensor]) -> list[str]:
    return [name for name, value in tensors_of(training.trained()).items() if not torch.equal(value, before[name])]


def moved(training: Any, before: dict[str, Tensor]) -> set[str]:
    """The networks whose parameters changed; running statistics and power iterations aside."""
    return {
        name.partition(".")[0] for name in changed(training, before) if name.endswith((".weight", "_orig", ".bias"))
    }


def test_what_is_evaluated_is_the_average_of_the_generators(bench: Callable[..., Any]) -> None:
    training = bench("hinge").training()
    training.step(0)
    averaged = training.evaluated().state_dict()
    weights = tensors_of(training.trained())
    assert all(torch.equal(value, weights[f"ema.generator.{name}"]) for name, value in averaged.items())
    assert any(not torch.equal(value, weights[f"generator.{name}"]) for name, value in averaged.items())
