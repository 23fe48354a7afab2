"""Random windows: inside their image, of the area and shape asked for, enlarged as bilinear interpolation does."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ticketlab.augment.resized_crop import build, enlarged, enlarged_maps, windows
from ticketlab.randomness import Key
from ticketlab.spec.augment import ResizedCrop


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 5))
def test_a_window_lies_inside_whatever_the_shape_of_its_picture(height: int, width: int, seed: int) -> None:
    sides = torch.tensor([[height, width]]).expand(20, 2)
    top, left, high, wide = windows(sides, Key(seed), scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3)).unbind(1)
    assert bool(((top >= 0) & (left >= 0) & (high >= 1) & (wide >= 1)).all())
    assert bool(((top + high <= height) & (left + wide <= width)).all())


def test_areas_and_shapes_are_spread_over_what_was_asked() -> None:
    sides = torch.tensor([[400, 400]]).expand(4000, 2)
    cut = windows(sides, Key(0), scale=(0.2, 0.6), ratio=(3 / 4, 4 / 3)).double()
    areas, shapes = cut[:, 2] * cut[:, 3] / 400**2, cut[:, 3] / cut[:, 2]
    assert 0.195 < float(areas.min()) < 0.21
    assert 0.59 < float(areas.max()) < 0.605
    assert float(areas.mean()) == pytest.approx(0.4, abs=0.01)
    assert float(shapes.log().mean()) == pytest.approx(0, abs=0.01)
    assert float(shapes.min()) > 0.74
    assert float(shapes.max()) < 1.35
    room = 400 - cut[:, 2]
    assert float((cut[:, 0] / room.clamp_min(1)).mean()) == pytest.approx(0.5, abs=0.02)


def test_a_picture_in_which_no_attempt_fits_is_cut_in_its_middle() -> None:
    (cut,) = windows(torch.tensor([[10, 1000]]), Key(0), scale=(0.9, 1.0), ratio=(3 / 4, 4 / 3)).tolist()
    assert cut == [0, (1000 - 13) // 2, 10, 13]
    (cut,) = windows(torch.tensor([[1000, 12]]), Key(0), scale=(0.9, 1.0), ratio=(3 / 4, 4 / 3)).tolist()
    assert cut == [(1000 - 16) // 2, 0, 16, 12]


def test_enlarging_is_bilinear_interpolation_of_the_window_alone() -> None:
    images = torch.randint(256, (6, 3, 24, 24), dtype=torch.uint8, generator=Key(0).generator())
    cut = windows(torch.tensor([[24, 24]]).expand(6, 2), Key(1), scale=(0.05, 1.0), ratio=(0.5, 2.0))
    found = enlarged(images.float(), cut)
    for image, window, (top, left, high, wide) in zip(images.float(), found, cut.tolist(), strict=True):
        part = image[None, :, top : top + high, left : left + wide]
        expected = F.interpolate(part, (24, 24), mode="bilinear", align_corners=False)[0]
        assert torch.allclose(window, expected, atol=1e-3)
    assert torch.equal(enlarged(images, cut), found.round().to(torch.uint8))


def test_maps_follow_their_images_pixel_by_pixel() -> None:
    maps = torch.randint(21, (5, 24, 24), dtype=torch.uint8, generator=Key(0).generator())
    augmenter, key = build(ResizedCrop(scale=(0.1, 0.5))), Key(3)
    drawn = windows(torch.tensor([[24, 24]]).expand(5, 2), key, scale=(0.1, 0.5), ratio=(3 / 4, 4 / 3))
    found = augmenter.maps(maps, key)
    assert torch.equal(found, enlarged_maps(maps, drawn))
    for one, window, (top, left, high, wide) in zip(maps, found, drawn.tolist(), strict=True):
        part = one[None, None, top : top + high, left : left + wide]
        assert torch.equal(window, F.interpolate(part, (24, 24), mode="nearest-exact")[0, 0])


def test_the_whole_image_stays_as_it_is() -> None:
    images = torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8, generator=Key(0).generator())
    assert torch.equal(enlarged(images, torch.tensor([[0, 0, 16, 16]] * 2)), images)


def test_an_interval_that_falls_is_refused() -> None:
    with pytest.raises(ValidationError, match="must not be above"):
        ResizedCrop(scale=(0.9, 0.1))
