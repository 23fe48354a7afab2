"""Random sizes: bilinear for images, nearest for their maps, black and without a label beyond the border."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from ticketlab.augment.rescale import build, rescaled, rescaled_maps, windows
from ticketlab.label_map import UNLABELLED
from ticketlab.randomness import Key
from ticketlab.spec.augment import Rescale

HEIGHT, WIDTH = 24, 18

PLACED = [((48, 36), (5, 11)), ((31, 23), (0, 5)), ((24, 18), (0, 0)), ((17, 13), (-7, -2)), ((12, 9), (0, -9))]
"""Sizes that a picture of 24 x 18 is brought to, and the top and left of the window."""


def pictures(count: int) -> Tensor:
    return torch.randint(256, (count, 3, HEIGHT, WIDTH), dtype=torch.uint8, generator=Key(0).generator())


def maps(count: int) -> Tensor:
    return torch.randint(21, (count, HEIGHT, WIDTH), dtype=torch.uint8, generator=Key(1).generator())


def cut(whole: Tensor, places: tuple[int, int], outside: int) -> Tensor:
    """The window at `places`, filled up with `outside`, by slicing one pixel after another."""
    found = torch.full((*whole.shape[:-2], HEIGHT, WIDTH), outside, dtype=whole.dtype)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            y, x = row + places[0], column + places[1]
            if 0 <= y < whole.shape[-2] and 0 <= x < whole.shape[-1]:
                found[..., row, column] = whole[..., y, x]
    return found


def test_rescaling_is_antialiased_bilinear_interpolation_and_a_cut() -> None:
    images, sides, places = pictures(len(PLACED)), *(torch.tensor(both) for both in zip(*PLACED, strict=True))
    found = rescaled(images.float(), sides, places)
    for image, window, (size, place) in zip(images.float(), found, PLACED, strict=True):
        whole = F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
        assert torch.allclose(window, cut(whole, place, 0), atol=1e-3)
    assert torch.equal(rescaled(images, sides, places), found.round().to(torch.uint8))


def test_a_map_takes_the_nearest_class_and_none_beyond_the_border() -> None:
    labels, sides, places = maps(len(PLACED)), *(torch.tensor(both) for both in zip(*PLACED, strict=True))
    found = rescaled_maps(labels, sides, places)
    assert found.dtype == torch.uint8
    for one, window, (size, place) in zip(labels, found, PLACED, strict=True):
        whole = F.interpolate(one[None, None], size, mode="nearest-exact")[0, 0]
        assert torch.equal(window, cut(whole, place, UNLABELLED))


def test_a_row_of_two_pixels_in_closed_form() -> None:
    """Doubled it is 0, 25, 75, 100, a quarter and three quarters of the way; halved it is the mean."""
    row, labels = torch.tensor([[[[0.0, 100.0]]]]), torch.tensor([[[3, 4]]], dtype=torch.uint8)
    for left, pixels, classes in ((0, [0, 25], [3, 3]), (1, [25, 75], [3, 4]), (2, [75, 100], [4, 4])):
        doubled = torch.tensor([[1, 4]]), torch.tensor([[0, left]])
        assert rescaled(row, *doubled).flatten().tolist() == pixels
        assert rescaled_maps(labels, *doubled).flatten().tolist() == classes
    halved = torch.tensor([[1, 1]]), torch.tensor([[0, -1]])
    assert rescaled(row, *halved).flatten().tolist() == [0, 50]
    assert rescaled_maps(labels, *halved).flatten().tolist() == [UNLABELLED, 4]


def test_at_factor_one_nothing_changes() -> None:
    augmenter = build(Rescale(factor=(1, 1)))
    assert torch.equal(augmenter.apply(pictures(8), Key(2)), pictures(8))
    assert torch.equal(augmenter.maps(maps(8), Key(2)), maps(8))


def test_a_map_has_labels_exactly_where_the_image_of_the_same_key_is() -> None:
    """White pictures stay white: every weight of a pixel inside sums to one."""
    augmenter = build(Rescale())
    white, labels = torch.full((64, 1, HEIGHT, WIDTH), 255, dtype=torch.uint8), maps(64)
    picture, moved = augmenter.apply(white, Key(3)).squeeze(1), augmenter.maps(labels, Key(3))
    assert torch.equal(picture == 255, moved != UNLABELLED)
    assert torch.equal(picture == 0, moved == UNLABELLED)
    assert 0.05 < float((moved == UNLABELLED).float().mean()) < 0.5


def test_sizes_and_places_are_spread_over_what_was_asked() -> None:
    sides, places = windows(torch.Size((100, 80)), 4000, Key(4), (0.5, 2.0))
    factors = sides[:, 0] / 100
    assert (float(factors.min()), float(factors.max())) == pytest.approx((0.5, 2.0), abs=0.01)
    assert float(factors.mean()) == pytest.approx(1.25, abs=0.02)
    assert int((sides[:, 1] - 0.8 * sides[:, 0]).abs().max()) <= 1
    room = sides - torch.tensor([100, 80])
    low, high = room.clamp_max(0), room.clamp_min(0)
    assert bool(((places >= low) & (places <= high)).all())
    assert bool((places == low).any())
    assert bool((places == high).any())
    share = (places / room.where(room != 0, 1))[room.abs() > 10]
    assert float(share.mean()) == pytest.approx(0.5, abs=0.02)


def test_each_image_is_drawn_by_its_own_row() -> None:
    few, many = (windows(torch.Size((50, 50)), batch, Key(5), (0.5, 2.0)) for batch in (3, 9))
    assert all(torch.equal(one, other[:3]) for one, other in zip(few, many, strict=True))


def test_an_interval_that_falls_is_refused() -> None:
    with pytest.raises(ValidationError, match="must not be above"):
        Rescale(factor=(2.0, 0.5))
