"""Segmentation metrics are those of their definitions, counted by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from ticketlab.errors import DataError
from ticketlab.label_map import UNLABELLED
from ticketlab.made import made
from ticketlab.metrics.evidence import Segmented
from ticketlab.metrics.segmentation import mean_iou, pixel_accuracy, segment
from ticketlab.spec.metric import Accuracy, Loss, MeanIou, MetricChoice, PixelAccuracy, measuring
from ticketlab.spec.task import SEGMENTER

CLASSES = 4


class Scores(nn.Module):
    """Logits (B, classes, H, W) that are the image's own channels; normalises nothing, remembers its mode."""

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        return images


def found(metric: MetricChoice, evidence: Segmented) -> float:
    (value,) = made(metric.made_by)(metric, evidence).values()
    return float(value)


def segmented(logits: Tensor, maps: Tensor, batch: int = 2) -> Segmented:
    parts = zip(torch.split(logits, batch), torch.split(maps, batch), strict=True)
    return segment(Scores(), parts, logits.shape[1], lambda images: images.float())


def certain(predicted: Tensor, classes: int = CLASSES) -> Tensor:
    """Bytes whose largest channel is the class predicted."""
    return nn.functional.one_hot(predicted.long(), classes).movedim(3, 1).to(torch.uint8)


def test_a_matrix_counted_by_hand() -> None:
    truth = torch.tensor([[[0, 0, 1], [1, 1, UNLABELLED]]], dtype=torch.uint8)
    predicted = torch.tensor([[[0, 1, 1], [1, 3, 2]]])
    evidence = segmented(certain(predicted), truth)
    assert evidence.confusion.tolist() == [[1, 1, 0, 0], [0, 2, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert found(PixelAccuracy(), evidence) == 3 / 5
    # 0: 1 of 2; 1: 2 of 4; 2 occurs nowhere (its one pixel has no label); 3 was predicted where it is not: 0 of 1.
    assert found(MeanIou(), evidence) == pytest.approx((1 / 2 + 2 / 4 + 0) / 3, abs=1e-15)
    # Logits are 0, and 1 for what is predicted.
    right, wrong = math.log(math.e + 3) - 1, math.log(math.e + 3)
    assert found(Loss(), evidence) == pytest.approx((3 * right + 2 * wrong) / 5, rel=1e-7)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_closed_forms(share: float) -> None:
    """One class predicted everywhere over two: its share and 0, meant; a perfect prediction is 1; swapped classes are 0."""
    side = 8
    truth = torch.zeros(3, side, side, dtype=torch.uint8)
    truth[:, :, int(side * share) :] = 2
    everywhere = segmented(certain(torch.zeros_like(truth)), truth)
    assert found(MeanIou(), everywhere) == pytest.approx(share / 2)
    assert found(PixelAccuracy(), everywhere) == pytest.approx(share)
    perfect = segmented(certain(truth), truth)
    assert (found(MeanIou(), perfect), found(PixelAccuracy(), perfect)) == (1.0, 1.0)
    swapped = segmented(certain(2 - truth), truth)
    assert (found(MeanIou(), swapped), found(PixelAccuracy(), swapped)) == (0.0, 0.0)


def test_images_are_counted_together_in_any_batches_as_sets_of_pixels() -> None:
    source = torch.Generator().manual_seed(0)
    truth = torch.randint(0, CLASSES + 1, (7, 5, 6), generator=source, dtype=torch.uint8)
    truth[truth == CLASSES] = UNLABELLED
    logits = torch.randint(0, 256, (7, CLASSES, 5, 6), generator=source, dtype=torch.uint8)
    predicted = logits.argmax(1)
    places = [tuple(place) for place in (truth != UNLABELLED).nonzero().tolist()]
    shares = []
    for label in range(CLASSES):
        true = {place for place in places if int(truth[place]) == label}
        chosen = {place for place in places if int(predicted[place]) == label}
        shares.append(len(true & chosen) / len(true | chosen))
    for batch in (1, 3, 7, 100):
        evidence = segmented(logits, truth, batch)
        assert found(MeanIou(), evidence) == pytest.approx(sum(shares) / CLASSES, rel=1e-12)
        assert int(evidence.confusion.sum()) == len(places)


def test_maps_without_a_label_cannot_be_measured_on() -> None:
    with pytest.raises(DataError, match="no pixel has a label"):
        segmented(certain(torch.zeros(1, 2, 2)), torch.full((1, 2, 2), UNLABELLED, dtype=torch.uint8))


def test_the_network_is_left_as_it_was() -> None:
    network = nn.Sequential(Scores(), nn.BatchNorm2d(CLASSES)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images, maps = torch.zeros(2, CLASSES, 4, 4, dtype=torch.uint8), torch.zeros(2, 4, 4, dtype=torch.uint8)
    segment(network, [(images, maps)], CLASSES, lambda batch: batch.float())
    assert all(layer.training for layer in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_segmenters_are_measured_by_these_and_not_by_the_accuracy_of_images() -> None:
    assert set(measuring(SEGMENTER)) == {"mean_iou", "pixel_accuracy", "loss"} == set(SEGMENTER.usual)
    assert SEGMENTER not in Accuracy.measures
    assert (MeanIou().made_by, PixelAccuracy().made_by) == tuple(
        f"{function.__module__}:{function.__name__}" for function in (mean_iou, pixel_accuracy)
    )
