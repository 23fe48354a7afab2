"""Weights outside the mask are exactly zero at every step, in the average too, and never come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ticketlab.training.setup import tensors_of


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("channels_last", [True, False])
def test_masked_weights_stay_zero_under_momentum_decay_and_averaging(
    bench: Callable[..., Any], objective: str, optimizer: str, channels_last: bool
) -> None:
    made = bench(objective, optimizer, steps=5, channels_last=channels_last)
    training = made.training()
    masked = 0
    for number in range(5):
        training.step(number)
        state = training.state()
        for layer, kept in made.mask(
            {name: tensors_of(training.trained())[name] for name in covered(training)}
        ).items():
            names = [layer, f"ema.{layer}", *moments(layer)]
            for name in (name for name in names if name in state):
                assert bool((state[name][~kept] == 0).all()), (number, name)
                masked += int((~kept).sum())
                if name == layer:
                    assert bool((state[name][kept] != 0).float().mean() > 0.9), (number, name)
    assert masked > 1000


def covered(training: Any) -> list[str]:
    """The layers of all networks that the bench masks."""
    from ticketlab.models.prunable import prunable

    networks = training._setup.networks
    return list(prunable(networks, tuple(networks), ("conv", "linear")))


def moments(layer: str) -> list[str]:
    network, _, name = layer.partition(".")
    return [f"optimizer.{network}.{moment}.{name}" for moment in ("exp_avg", "exp_avg_sq", "momentum_buffer")]


def test_a_mask_is_imposed_before_the_first_step(bench: Callable[..., Any], objective: str) -> None:
    made = bench(objective)
    training = made.training()
    state = training.state()
    for layer, kept in made.mask({name: tensors_of(training.trained())[name] for name in covered(training)}).items():
        assert bool((state[layer][~kept] == 0).all())
        if f"ema.{layer}" in state:
            assert bool((state[f"ema.{layer}"][~kept] == 0).all())


def test_a_dense_training_moves_what_a_mask_would_hold(bench: Callable[..., Any], objective: str) -> None:
    made = bench(objective, masked=False)
    training = made.training()
    before = {name: value.clone() for name, value in tensors_of(training.trained()).items()}
    for number in range(3):
        training.step(number)
    for layer in covered(training):
        assert float((tensors_of(training.trained())[layer] != before[layer]).float().mean()) > 0.9
        assert not torch.equal(tensors_of(training.trained())[layer], before[layer])
