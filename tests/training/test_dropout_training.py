"""A classifier with dropout trains under the keys of its steps, resumes exactly, and scores the same loss twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ticketlab.datasets.batches import Batches, Scaling
from ticketlab.models.dropout import KeyedDropout
from ticketlab.randomness import Key
from ticketlab.tensors import content_digest
from ticketlab.training.classification import cross_entropy
from ticketlab.training.setup import Setup, Training


class Small(nn.Module):
    """Images (B, 1, 16, 16) -> logits (B, 10)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(256, 20), nn.ReLU(), KeyedDropout(share), nn.Linear(20, 10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(images)
        return out


@pytest.fixture
def classifier(bench: Callable[..., Any]) -> Callable[..., Any]:
    """A bench whose network has dropout, or the share 0 of it, or none at all."""

    def make(share: float | None = 0.5) -> Any:
        made = bench("cross_entropy", "sgd", steps=4)

        def training() -> Training:
            network: Any = Small(share or 0.0)
            if share is None:
                network.layers.pop(3)
                network.layers.insert(3, nn.Identity())
            for name, parameter in network.named_parameters():
                with torch.no_grad():
                    parameter.copy_(0.1 * torch.randn(parameter.shape, generator=Key(1).of(name).generator()))
            source = torch.Generator().manual_seed(1)
            images = torch.randint(256, (30, 1, 16, 16), dtype=torch.uint8, generator=source)
            labels = torch.randint(10, (30,), generator=source)
            plain = bench("cross_entropy", masked=False)
            networks = {"classifier": network}
            return cross_entropy(
                Setup(
                    objective=made.objective,
                    networks=networks,
                    wearing=plain.wearing(networks),
                    batches=Batches(images, labels, 3, Key(3).of("data")),
                    scale=Scaling.of("symmetric", (0.5,), (0.5,)),
                    augmenters=[],
                    key=Key(3).of("train"),
                    precision=nullcontext,
                    compile=lambda network: network,
                )
            )

        made.training = training
        return made

    return make


def straight(made: Any, folder: Path) -> str:
    training = made.training()
    made.follow(training, folder)
    return content_digest(training.state())


@pytest.mark.parametrize("until", [1, 2, 3])
def test_stopping_and_going_on_with_dropout_is_exact(
    classifier: Callable[..., Any], until: int, tmp_path: Path
) -> None:
    made = classifier()
    expected = straight(made, tmp_path / "straight")
    made.stopped(tmp_path / "stopped", until)
    resumed = made.training()
    made.follow(resumed, tmp_path / "stopped")
    assert content_digest(resumed.state()) == expected


def test_dropout_changes_the_result_and_a_share_of_nothing_does_not(
    classifier: Callable[..., Any], tmp_path: Path
) -> None:
    without = straight(classifier(None), tmp_path / "without")
    assert straight(classifier(0.0), tmp_path / "nothing") == without
    assert straight(classifier(0.5), tmp_path / "half") != without


def test_every_step_drops_under_its_own_address(classifier: Callable[..., Any]) -> None:
    training = classifier().training()
    seen = []
    for step in range(3):
        training.step(step)
        seen.append(training.classifier.layers[3].key)
    assert seen == [Key(3).of("train", "dropout", step, "layers.3") for step in range(3)]


def test_evaluating_in_between_and_global_seeds_change_nothing(classifier: Callable[..., Any], tmp_path: Path) -> None:
    made = classifier()
    expected = straight(made, tmp_path / "straight")
    training = made.training()
    for step in range(4):
        torch.rand(step)
        training.step(step)
        training.evaluated().eval()(torch.randn(2, 1, 16, 16))
    assert content_digest(training.state()) == expected


def test_the_loss_of_a_batch_is_the_same_in_every_pass_in_training_mode_too(classifier: Callable[..., Any]) -> None:
    training = classifier().training()
    network = training.classifier.train()
    once = training.losses({"classifier": network}, 2)["classifier"]
    assert torch.equal(training.losses({"classifier": network}, 2)["classifier"], once)
    assert not torch.equal(training.losses({"classifier": network.eval()}, 2)["classifier"], once)
