"""A grid shows every sample in its place, with every byte as it was."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ticketlab.report.grid import GAP, SCALE, grid


def samples(count: int, channels: int, side: int = 4) -> Tensor:
    source = torch.Generator().manual_seed(count)
    return torch.randint(256, (count, channels, side, side), dtype=torch.uint8, generator=source)


def pixels(content: bytes) -> Tensor:
    """(C, H, W) at the size of the samples."""
    sheet = torch.from_numpy(np.array(Image.open(io.BytesIO(content))))
    sheet = sheet.unsqueeze(0) if sheet.dim() == 2 else sheet.permute(2, 0, 1)
    return sheet[:, ::SCALE, ::SCALE]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (5, 3, 2), (9, 3, 3), (64, 8, 8)])
def test_samples_lie_row_by_row_unchanged(channels: int, count: int, columns: int, rows: int) -> None:
    images = samples(count, channels)
    sheet = pixels(grid(images))
    assert sheet.shape == (channels, rows * (4 + GAP) + GAP, columns * (4 + GAP) + GAP)
    for number, image in enumerate(images):
        top, left = GAP + number // columns * (4 + GAP), GAP + number % columns * (4 + GAP)
        assert torch.equal(sheet[:, top : top + 4, left : left + 4], image)
    assert bool((sheet[:, 0] == 255).all())


def test_every_pixel_is_drawn_twice_as_large() -> None:
    sheet = np.array(Image.open(io.BytesIO(grid(samples(4, 1)))))
    assert np.array_equal(sheet[::2, ::2], sheet[1::2, 1::2])


def test_equal_samples_give_equal_bytes() -> None:
    images = samples(6, 3)
    assert grid(images) == grid(images.clone().to(memory_format=torch.channels_last))
    assert grid(images) != grid(images.flip(0))
