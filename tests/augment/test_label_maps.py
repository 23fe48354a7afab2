"""Label maps go where their images go: every augmentation that is registered, on images made of their own maps."""

import pytest
import torch

from ticketlab.augment.shift import shifted_maps
from ticketlab.label_map import UNLABELLED
from ticketlab.made import made
from ticketlab.randomness import Key
from ticketlab.spec.augment import Crop, DiffAugment, Flip

GEOMETRIC = (
    Crop(padding=1),
    Crop(padding=5),
    Crop(padding=40),
    Flip(),
    DiffAugment(policy=("translation",)),
    DiffAugment(policy=("translation", "translation")),
)


def maps(batch=64, height=12, width=10):
    return torch.randint(1, UNLABELLED, (batch, height, width), generator=Key(0).generator(), dtype=torch.uint8)


@pytest.mark.parametrize("options", GEOMETRIC, ids=repr)
def test_an_image_of_its_own_map_and_the_map_stay_the_same_picture(options):
    augmenter, found = made(options.made_by)(options), maps()
    image = found.unsqueeze(1).to(torch.uint8 if augmenter.on == "pixels" else torch.float32)
    for number in range(5):
        moved = augmenter.maps(found, Key(1).of(number))
        picture = augmenter.apply(image, Key(1).of(number)).squeeze(1)
        assert moved.dtype == torch.uint8
        assert not torch.equal(moved, found)
        assert torch.equal(moved.masked_fill(moved == UNLABELLED, 0), picture.to(torch.uint8))


def test_pixels_without_a_label_move_too():
    found = torch.tensor([[[UNLABELLED, 0, 2]]], dtype=torch.uint8)
    moved = shifted_maps(found, torch.tensor([0]), torch.tensor([-1]))
    assert moved.tolist() == [[[UNLABELLED, UNLABELLED, 0]]]


@pytest.mark.parametrize("policy", [("color",), ("cutout",), ("color", "cutout")])
def test_what_moves_no_pixel_leaves_maps_alone(policy):
    options, found = DiffAugment(policy=policy), maps()
    assert torch.equal(made(options.made_by)(options).maps(found, Key(1)), found)


@pytest.mark.parametrize("policy", [("cutout", "translation"), ("translation", "cutout"), ("color", "translation")])
def test_a_translation_among_other_operations_is_the_same_for_images_and_maps(policy):
    """Images of one value where a map has a label: what is seen of them lies where the moved map has one."""
    options = DiffAugment(policy=policy)
    augmenter = made(options.made_by)(options)
    found = torch.full((64, 16, 16), UNLABELLED, dtype=torch.uint8)
    found[:, 5:11, 4:12] = 7
    image = (found == 7).unsqueeze(1).float()
    moved, picture = augmenter.maps(found, Key(3)), augmenter.apply(image, Key(3)).squeeze(1)
    assert not torch.equal(moved, found)
    if "color" in policy:
        inside = torch.stack([one[label == 7].mean() for one, label in zip(picture, moved, strict=True)])
        assert torch.allclose(picture[moved == 7], inside.repeat_interleave(48), atol=1e-5)
    else:
        assert (moved[picture > 0] == 7).all()
        assert (picture > 0).sum() > 0.3 * (moved == 7).sum()
