"""The images and batches of a probe set."""

from __future__ import annotations

import pytest
import torch

from ticketlab.datasets.labels import CLASSES, MAPS
from ticketlab.errors import DataError
from ticketlab.label_map import UNLABELLED
from ticketlab.randomness import Key
from ticketlab.run.steps.probe import _sizes, balanced


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


@pytest.mark.parametrize("batch", [2, 3, 4, 7, 100])
def test_every_image_is_in_one_batch_and_none_is_alone(batch: int) -> None:
    for count in range(2, 50):
        sizes = _sizes(count, batch)
        assert sum(sizes) == count
        assert min(sizes) >= 2, sizes
        assert max(sizes) <= batch + 1
        assert set(sizes[:-1]) <= {batch}
        if count % batch != 1:
            assert sizes == [len(range(count)[start : start + batch]) for start in range(0, count, batch)]


def test_batches_of_one_are_had_by_asking_for_them() -> None:
    assert _sizes(1, 8) == [1]
    assert _sizes(4, 1) == [1, 1, 1, 1]
