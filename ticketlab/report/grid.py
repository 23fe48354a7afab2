"""A grid of sample images as a PNG."""

from __future__ import annotations

import io
import math

import torch
from PIL import Image
from torch import Tensor

GAP = 2
SCALE = 2


def grid(images: Tensor) -> bytes:
    """A near-square grid of uint8 images (N, C, S, S), C 1 or 3, twice their size; equal images give equal bytes."""
    count, channels, side, _ = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = torch.full((channels, rows * (side + GAP) + GAP, columns * (side + GAP) + GAP), 255, dtype=torch.uint8)
    for number, image in enumerate(images.cpu()):
        top = GAP + (number // columns) * (side + GAP)
        left = GAP + (number % columns) * (side + GAP)
        sheet[:, top : top + side, left : left + side] = image
    picture = sheet[0] if channels == 1 else sheet.permute(1, 2, 0)
    picture = picture.repeat_interleave(SCALE, 0).repeat_interleave(SCALE, 1)
    buffer = io.BytesIO()
    Image.fromarray(picture.contiguous().numpy()).save(buffer, format="PNG")
    return buffer.getvalue()
