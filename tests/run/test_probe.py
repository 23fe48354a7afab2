"""The images of a probe set."""

from __future__ import annotations

import pytest
import torch

from ticketlab.datasets.labels import CLASSES, MAPS
from ticketlab.errors import DataError
from ticketlab.label_map import UNLABELLED
from ticketlab.randomness import Key
from ticketlab.run.steps.probe import balanced


def test_a_probe_set_has_equally_many_images_of_each_class_in_no_order_of_theirs() -> None:
    labels = torch.arange(20).repeat_interleave(30)
    indices = balanced(CLASSES, labels, 20, 4, Key(1))
    assert labels[indices].bincount().tolist() == [4] * 20
    assert len(indices.unique()) == 80
    assert min(len(batch.unique()) for batch in labels[indices].split(20)) > 8
    assert balanced(CLASSES, labels, 20, 4, Key(1)).equal(indices)
    assert not balanced(CLASSES, labels, 20, 4, Key(2)).equal(indices)


def test_a_background_behind_everything_needs_no_maps_of_its_own() -> None:
    """As in VOC: every map has class 0, most an object too, some nothing that is labelled."""
    objects = torch.arange(60) % 5 + 1
    maps = torch.zeros((61, 4, 4), dtype=torch.uint8)
    maps[:60, 2:] = objects.to(torch.uint8).view(-1, 1, 1)
    maps[60] = UNLABELLED
    indices = balanced(MAPS, maps, 6, 10, Key(1))
    assert objects[indices].bincount(minlength=6).tolist() == [0, 10, 10, 10, 10, 10]
    with pytest.raises(DataError, match="13 images of each class, and of class 1 only 12 are kept"):
        balanced(MAPS, maps, 6, 13, Key(1))
