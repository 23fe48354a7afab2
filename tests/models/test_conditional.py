"""Conditional batch normalisation is the plain kind for each class, with statistics in common."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from ticketlab.models.conditional import ConditionalBatchNorm2d
from ticketlab.models.initialise import constant, initialise, normal
from ticketlab.models.prunable import prunable
from ticketlab.models.unmoved import unmoved_state
from ticketlab.randomness import Key


def layers() -> tuple[Any, list[Any]]:
    """A conditional layer, and the plain one of each of its classes."""
    source = torch.Generator().manual_seed(0)
    ours: Any = ConditionalBatchNorm2d(4, 3)
    ours.weight.data.copy_(torch.randn(3, 4, generator=source))
    ours.bias.data.copy_(torch.randn(3, 4, generator=source))
    plain: list[Any] = [nn.BatchNorm2d(4) for _ in range(3)]
    for label, norm in enumerate(plain):
        norm.weight.data.copy_(ours.weight[label])
        norm.bias.data.copy_(ours.bias[label])
    return ours, plain


IMAGES = torch.randn(10, 4, 5, 5, generator=torch.Generator().manual_seed(1)) * 3 + 1
LABELS = torch.arange(10) % 3


def test_every_image_is_normalised_as_by_the_plain_layer_of_its_class() -> None:
    ours, plain = layers()
    for training in (True, True, False):
        ours.train(training)
        answers = [norm.train(training)(IMAGES) for norm in plain]
        expected = torch.stack([answers[label][image] for image, label in enumerate(LABELS.tolist())])
        torch.testing.assert_close(ours(IMAGES, LABELS), expected)
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            assert torch.equal(getattr(ours, name), getattr(plain[0], name))


@pytest.mark.parametrize("training", [True, False])
def test_a_look_that_leaves_no_trace_sees_what_a_step_would(training: bool) -> None:
    ours, _ = layers()
    ours.train(training)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    with unmoved_state(ours):
        seen = ours(IMAGES, LABELS)
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())
    assert torch.equal(seen, ours(IMAGES, LABELS))


def test_it_starts_by_a_scheme_and_is_never_pruned() -> None:
    with torch.device("meta"):
        network = nn.Sequential(ConditionalBatchNorm2d(4, 3))
    (norm,) = initialise({"generator": network}, lambda _: (normal(1.0, 0.02), constant(0.0)), Key(0))["generator"]  # type: ignore[misc]
    assert 0 < (norm.weight - 1).abs().max() < 0.1
    assert not norm.bias.any()
    assert norm.running_var.tolist() == [1] * 4
    assert prunable({"generator": network}, ("generator",), ("conv", "linear")) == {}
