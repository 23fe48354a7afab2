"""Chosen classes: which images are there, in file order, and labels that are the places of their classes in the list."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketlab.datasets.chosen import Chosen
from ticketlab.datasets.held import opened
from ticketlab.datasets.image_set import ImageSet
from ticketlab.datasets.manifest import SplitName, read_manifest
from ticketlab.datasets.pack import Split, write_pack
from ticketlab.errors import DataError

LABELS = {"train": [3, 0, 1, 1, 2, 3, 0, 3], "test": [2, 3, 0, 1, 0]}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.data())
def test_images_and_labels_are_those_of_a_plain_loop(labels: list[int], data: st.DataObject) -> None:
    there = sorted(set(labels))
    classes = tuple(data.draw(st.permutations(there)))[: data.draw(st.integers(1, len(there)))]
    expected = [(number, classes.index(label)) for number, label in enumerate(labels) if label in classes]
    kept = sorted(data.draw(st.sets(st.integers(0, len(expected) - 1), min_size=1)))
    for chosen, wanted in (
        (Chosen(classes), expected),
        (Chosen(classes, torch.tensor(kept)), [expected[index] for index in kept]),
    ):
        numbers = chosen.numbers(torch.tensor(labels))
        assert numbers is not None
        named = chosen.named(torch.tensor(labels)[numbers])
        assert list(zip(numbers.tolist(), named.tolist(), strict=True)) == wanted


def test_without_classes_labels_are_as_they_were() -> None:
    maps = torch.zeros(2, 4, 4, dtype=torch.uint8)
    assert Chosen().numbers(maps) is None
    assert Chosen().named(maps) is maps
    kept = torch.tensor([1])
    assert Chosen(kept=kept).numbers(maps) is kept


def test_a_class_without_images_is_said() -> None:
    with pytest.raises(DataError, match="no image of class 4"):
        Chosen((0, 4)).numbers(torch.tensor([0, 1, 5]))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A pack of images whose first pixel is their number in the split."""
    splits: dict[SplitName, Split] = {}
    for split, labels in LABELS.items():
        images = torch.zeros(len(labels), 1, 8, 8, dtype=torch.uint8)
        images[:, 0, 0, 0] = torch.arange(len(labels))
        splits[split] = Split(images, torch.tensor(labels))  # type: ignore[index]
    write_pack(tmp_path, "four", splits, class_names=tuple("abcd"), licence="CC0-1.0", source="numbers")
    return tmp_path


def images(project: Path, split: SplitName, chosen: Chosen) -> ImageSet:
    return opened(project, read_manifest(project, "four"), split, None, "resize", chosen, torch.device("cpu"), 0)


@pytest.mark.parametrize(
    ("split", "numbers", "labels"), [("train", [0, 1, 5, 6, 7], [0, 1, 0, 1, 0]), ("test", [1, 2, 4], [0, 1, 1])]
)
def test_a_pack_has_the_images_of_the_classes_in_both_splits(
    project: Path, split: SplitName, numbers: list[int], labels: list[int]
) -> None:
    found = images(project, split, Chosen((3, 0)))
    assert found.take(torch.arange(len(found)))[:, 0, 0, 0].tolist() == numbers
    assert found.labels.tolist() == labels


def test_indices_are_among_the_images_of_the_classes(project: Path) -> None:
    found = images(project, "train", Chosen((3, 0), torch.tensor([1, 4])))
    assert found.take(torch.arange(2))[:, 0, 0, 0].tolist() == [1, 7]
    assert found.labels.tolist() == [1, 0]
