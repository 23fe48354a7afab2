"""A segmenter learns by the cross-entropy of its labelled pixels, on maps that lie on their images."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ticketlab.label_map import UNLABELLED
from ticketlab.models.dropout import set_keys
from ticketlab.spec.optimizer import Adam, Sgd
from ticketlab.training.checkpoint import content_digest
from ticketlab.training.segmentation import pixel_loss


def test_the_loss_is_the_mean_surprise_of_labelled_pixels_counted_one_by_one() -> None:
    source = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=source)
    maps = torch.randint(0, 4, (2, 4, 5), generator=source, dtype=torch.uint8)
    maps[maps == 3] = UNLABELLED
    surprises = []
    for image, row, column in ((b, i, j) for b in range(2) for i in range(4) for j in range(5)):
        label = int(maps[image, row, column])
        if label != UNLABELLED:
            scores = logits[image, :, row, column].tolist()
            surprises.append(math.log(sum(map(math.exp, scores))) - scores[label])
    assert 10 < len(surprises) < 40
    assert pixel_loss(logits, maps).item() == pytest.approx(sum(surprises) / len(surprises), rel=1e-5)


def test_pixels_without_a_label_have_no_gradient_and_a_batch_without_any_has_none_at_all() -> None:
    logits = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    maps = torch.tensor([[[0, UNLABELLED], [UNLABELLED, 2]]], dtype=torch.uint8)
    pixel_loss(logits, maps).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    moved = logits.grad.abs().sum(1)[0] > 0
    assert moved.tolist() == [[True, False], [False, True]]
    logits.grad = None
    nothing = pixel_loss(logits, torch.full_like(maps, UNLABELLED))
    nothing.backward()  # type: ignore[no-untyped-call]
    assert nothing.item() == 0
    assert not logits.grad.any()  # type: ignore[attr-defined]


class Reads(nn.Module):
    """Scores that say what class a pixel was drawn in."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(50.0))
        self.classes = torch.arange(classes).view(1, -1, 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The class whose number is nearest to a pixel's value has the highest score."""
        return -self.sharpness * (images - self.classes).abs()


def test_augmented_maps_lie_on_augmented_images(bench: Callable[..., Any]) -> None:
    """A network that reads classes off pixels is never surprised, whatever crops and flips do."""
    made = bench("pixel_cross_entropy", channels_last=False, masked=False)
    training = made.training()
    setup = training._setup
    maps = setup.batches.labels
    setup.batches.images = maps.masked_fill(maps == UNLABELLED, 0).unsqueeze(1)
    object.__setattr__(setup, "scale", lambda pixels: pixels.float())
    reads = Reads(10)
    losses = [training.losses({"segmenter": reads}, number)["segmenter"].item() for number in range(20)]
    assert max(losses) < 1e-6
    object.__setattr__(setup, "moved", lambda maps, *address: maps)
    assert min(training.losses({"segmenter": reads}, number)["segmenter"].item() for number in range(5)) > 0.1


def test_a_segmenter_learns_its_own_training_images(bench: Callable[..., Any], tmp_path: Path) -> None:
    made = bench("pixel_cross_entropy", steps=50, masked=False)
    made.objective = made.objective.model_copy(update={"batch": 10, "optimizer": Adam(lr=0.02, beta1=0.9, beta2=0.99)})
    training = made.training()
    batches = training._setup.batches
    batches.images = (batches.labels % 10 * 25).unsqueeze(1)
    made.follow(training, tmp_path)
    losses = [row["loss_train"] for _, row in made.rows]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_a_training_that_was_stopped_ends_with_the_same_bits(
    bench: Callable[..., Any], tmp_path: Path, share: float
) -> None:
    made = bench("pixel_cross_entropy", "sgd")
    made.objective = made.objective.model_copy(update={"backbone_rate": share})
    straight = made.training()
    made.follow(straight, tmp_path / "straight")
    for until in (1, 3):
        made.stopped(tmp_path / f"stopped-{until}", until)
        resumed = made.training()
        made.follow(resumed, tmp_path / f"stopped-{until}")
        assert content_digest(resumed.state()) == content_digest(straight.state())


def test_the_backbone_learns_at_its_own_rate(bench: Callable[..., Any]) -> None:
    """Without momentum and decay a step is the rate times the gradient, so moves are in proportion."""

    def moves(share: float) -> dict[str, torch.Tensor]:
        made = bench("pixel_cross_entropy", masked=False)
        plain = Sgd(lr=0.5, momentum=0, weight_decay=0)
        made.objective = made.objective.model_copy(update={"optimizer": plain, "backbone_rate": share, "warmup": 0})
        training = made.training()
        before = {name: value.detach().clone() for name, value in training.network.named_parameters()}
        training.step(0)
        return {name: value.detach() - before[name] for name, value in training.network.named_parameters()}

    whole, tenth = moves(1.0), moves(0.1)
    assert any(name.startswith("backbone.") for name in whole)
    for name, move in whole.items():
        expected = 0.1 * move if name.startswith("backbone.") else move
        torch.testing.assert_close(tenth[name], expected, rtol=1e-3, atol=2e-7)


def test_dropout_is_drawn_anew_at_every_step(bench: Callable[..., Any]) -> None:
    training = bench("pixel_cross_entropy", masked=False).training()
    training.step(0)
    setup, network = training._setup, training.network
    first = network.pyramid.dropout.key
    training.step(1)
    assert first != network.pyramid.dropout.key == setup.key.of("dropout", 1).of("pyramid.dropout")
    set_keys(network, setup.key.of("dropout", 0))
    assert network.pyramid.dropout.key == first
