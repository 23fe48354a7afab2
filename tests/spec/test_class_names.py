"""The names of classes are those of the datasets, label by label: packs that people have made hold them."""

from hashlib import sha256

import pytest
from torchvision.datasets import FashionMNIST
from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights

from ticketlab.spec.class_names import CIFAR10, CIFAR100, CLOTHES, TINY_IMAGENET, VOC


def test_names_that_torchvision_has_are_the_same() -> None:
    assert list(CLOTHES) == FashionMNIST.classes
    assert list(VOC[1:]) == DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta["categories"][1:]
    assert VOC[0] == "background"


@pytest.mark.parametrize(
    ("names", "count", "digest"),
    [
        (CIFAR10, 10, "bb3914949cecedee6d1257f7f5fdb8f43fa3b2c8095fd1763161caf1b873fe59"),
        (CIFAR100, 100, "fbe8ad23bbaf24969898a386833b49c3aaf6ad1119d43f7b41cdea1b3416d578"),
        (TINY_IMAGENET, 200, "add4bf0c8712ef7fb4bca98e3bbaf07101636c5db62cce486fd2af71cc11caf8"),
    ],
)
def test_other_names_are_sorted_and_stay_what_they_were(names: tuple[str, ...], count: int, digest: str) -> None:
    assert list(names) == sorted(set(names))
    assert len(names) == count
    assert sha256("\n".join(names).encode()).hexdigest() == digest
