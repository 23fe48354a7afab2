"""A classifier learns by the cross-entropy of its definition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ticketlab.spec.optimizer import Adam


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_mean_cross_entropy_against_smoothed_targets(
    bench: Callable[..., Any], smoothing: float
) -> None:
    made = bench("cross_entropy")
    made.objective = made.objective.model_copy(update={"label_smoothing": smoothing})
    loss = made.training().step(0)["loss_train"].item()
    again = made.training()
    setup = again._setup
    pixels, labels = setup.batches.at(0)
    again.classifier.train()
    scores = again.classifier(setup.scale(setup.augmented(pixels, "pixels", "real", 0)))
    targets = torch.full((len(labels), 10), smoothing / 10)
    targets[torch.arange(len(labels)), labels] += 1 - smoothing
    expected = -(targets * scores.log_softmax(1)).sum(1).mean().item()
    assert loss == pytest.approx(expected, rel=1e-5)


def test_a_classifier_learns_its_own_training_images(bench: Callable[..., Any], tmp_path: Path) -> None:
    made = bench("cross_entropy", steps=60, masked=False)
    made.objective = made.objective.model_copy(update={"batch": 30, "optimizer": Adam(lr=0.01, beta1=0.9, beta2=0.99)})
    made.follow(made.training(), tmp_path)
    losses = [row["loss_train"] for _, row in made.rows]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
