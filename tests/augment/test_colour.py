"""Changes of colour agree with torchvision's, leave gray images gray, and are drawn per image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as published

from ticketlab.augment.colour import brightness, contrast, grayscale, hue, jitter, saturation
from ticketlab.randomness import Key
from ticketlab.spec.augment import Grayscale, Jitter

PAIRS: list[tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, float], Tensor], float]] = [
    (brightness, published.adjust_brightness, 1.3),
    (brightness, published.adjust_brightness, 0.6),
    (contrast, published.adjust_contrast, 1.4),
    (contrast, published.adjust_contrast, 0.6),
    (saturation, published.adjust_saturation, 1.4),
    (saturation, published.adjust_saturation, 0.0),
    (hue, published.adjust_hue, 0.4),
    (hue, published.adjust_hue, -0.25),
]


def images(channels: int = 3, count: int = 8) -> Tensor:
    return torch.randint(256, (count, channels, 12, 12), dtype=torch.uint8, generator=Key(0).generator())


@pytest.mark.parametrize(("ours", "theirs", "factor"), PAIRS)
def test_each_change_is_torchvisions(
    ours: Callable[[Tensor, Tensor], Tensor], theirs: Callable[[Tensor, float], Tensor], factor: float
) -> None:
    unit = images().float() / 255
    assert torch.allclose(ours(unit, torch.full((8, 1, 1, 1), factor)), theirs(unit, factor), atol=1e-3)


def test_no_change_asked_is_none_made_and_every_image_has_its_own() -> None:
    pixels = images()
    still = jitter(Jitter(brightness=0, contrast=0, saturation=0, hue=0))
    assert torch.equal(still.apply(pixels, Key(1)), pixels)
    same = pixels[:1].expand(8, -1, -1, -1)
    found = jitter(Jitter()).apply(same, Key(1))
    assert found.dtype == torch.uint8
    assert len({one.numpy().tobytes() for one in found}) == 8
    assert torch.equal(found, jitter(Jitter()).apply(same, Key(1)))


def test_a_hue_turned_once_round_is_where_it_was() -> None:
    unit = images().float() / 255
    assert torch.allclose(hue(unit, torch.ones(8, 1, 1, 1)), unit, atol=1e-5)


def test_grayscale_takes_the_colours_of_the_share_that_was_asked() -> None:
    pixels = images(count=2000)
    found = grayscale(Grayscale(chance=0.2)).apply(pixels, Key(0))
    gray = (found.amax(1) == found.amin(1)).flatten(1).all(1)
    assert float(gray.float().mean()) == pytest.approx(0.2, abs=0.03)
    assert torch.equal(found[~gray], pixels[~gray])
    assert torch.equal(grayscale(Grayscale(chance=0)).apply(pixels, Key(0)), pixels)


def test_images_that_are_gray_already_have_no_hue_to_turn() -> None:
    pixels = images(channels=1)
    turned = jitter(Jitter(brightness=0, contrast=0, saturation=0.5, hue=0.5)).apply(pixels, Key(0))
    assert torch.equal(turned, pixels)
    assert torch.equal(grayscale(Grayscale(chance=1)).apply(pixels, Key(0)), pixels)
