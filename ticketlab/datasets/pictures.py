"""Pictures of any size, brought to a square: photographs by averages, label maps by the nearest pixel."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ticketlab.errors import DataError
from ticketlab.label_map import UNLABELLED

MOST_PIXELS = 1 << 26
"""The largest picture that is opened, in pixels."""

MOST_BYTES = 1 << 33
"""What the pictures of a dataset may take once they are squares."""

_FORMATS = ("PNG", "JPEG", "WEBP")
_GRAY = {"1", "L", "LA"}
_COLOUR = {"P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}


def open_square(source: Path | bytes, size: int, where: str) -> tuple[torch.Tensor, bool]:
    """A picture's centre square as uint8 (3, size, size), antialiased, and whether it is gray.

    DataError, naming `where`, if it cannot be read or is too large.
    """
    with opened(source, _FORMATS, where) as picture:
        square = _in_colour(picture, where).crop(_centre(picture))
        return _pixels(square.resize((size, size), Image.Resampling.BILINEAR)), picture.mode in _GRAY


def open_window(
    source: bytes, window: Callable[[int, int], tuple[int, int, int, int]], size: int, where: str
) -> torch.Tensor:
    """A window of a picture as uint8 (3, size, size), bilinear with antialiasing; `window` is asked with height and width.

    It answers with top, left, height, width. DataError, naming `where`, if the picture cannot be read or is too large.
    """
    with opened(source, _FORMATS, where) as picture:
        top, left, height, width = window(picture.height, picture.width)
        cut = _in_colour(picture, where).crop((left, top, left + width, top + height))
        return _pixels(cut.resize((size, size), Image.Resampling.BILINEAR))


def open_centre(source: bytes, size: int, where: str) -> torch.Tensor:
    """A picture's shorter side brought to 8/7 of `size`, then the middle as uint8 (3, size, size): 256 and 224 pixels.

    So classifiers of ImageNet are evaluated since Krizhevsky et al. 2012. DataError as from `open_window`.
    """
    with opened(source, _FORMATS, where) as picture:
        shorter = round(size * 8 / 7)
        factor = shorter / min(picture.size)
        width, height = (max(shorter, int(side * shorter / min(picture.size))) for side in picture.size)
        if width * height > MOST_PIXELS:
            raise DataError(f"{picture.width} x {picture.height} pixels times {factor:.0f} are too many", where=where)
        small = _in_colour(picture, where).resize((width, height), Image.Resampling.BILINEAR)
        left, top = round((width - size) / 2), round((height - size) / 2)
        return _pixels(small.crop((left, top, left + size, top + size)))


def open_map(source: Path | bytes, size: int, classes: int, where: str) -> tuple[torch.Tensor, tuple[int, int]]:
    """The centre square of a label map as uint8 (size, size), and the width and height it was cut from.

    A label map is a PNG with a palette, whose numbers are classes or `UNLABELLED`. DataError for anything else.
    """
    with opened(source, ("PNG",), where) as picture:
        if picture.mode != "P":
            raise DataError(f"a label map has a palette; this picture has mode {picture.mode}", where=where)
        with decoding(where):
            picture.load()
        numbers = np.unique(np.array(picture))
        wrong = [number for number in numbers.tolist() if number >= classes and number != UNLABELLED]
        if wrong:
            raise DataError(f"its colour {wrong[0]} is neither one of {classes} classes nor {UNLABELLED}", where=where)
        square = picture.crop(_centre(picture)).resize((size, size), Image.Resampling.NEAREST)
        return torch.from_numpy(np.array(square)), picture.size


def size_of(source: Path | bytes, where: str) -> tuple[int, int]:
    """The width and height that a picture says it has."""
    with opened(source, _FORMATS, where) as picture:
        return picture.size


def refuse_many(count: int, bytes_each: int, where: str) -> None:
    """DataError for more pictures than memory should hold, before any is opened."""
    if count * bytes_each > MOST_BYTES:
        raise DataError(f"{count} pictures of {bytes_each} bytes do not fit in {MOST_BYTES} bytes", where=where)


@contextmanager
def opened(source: Path | bytes, formats: tuple[str, ...], where: str) -> Iterator[Image.Image]:
    """A picture of one of the formats and of a bearable size, not decoded yet; DataError if it cannot be opened."""
    with decoding(where):
        picture = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=formats)
    with picture:
        width, height = picture.size
        if width * height > MOST_PIXELS:
            raise DataError(f"{width} x {height} pixels are more than {MOST_PIXELS}", where=where)
        yield picture


@contextmanager
def decoding(where: str) -> Iterator[None]:
    """Whatever a decoder says of a bad file, as a DataError: Pillow's do not keep to kinds of error, and some assert."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as problem:
        what = str(problem) or type(problem).__name__
        raise DataError(f"this picture cannot be read ({what})", where=where) from None


def _in_colour(picture: Image.Image, where: str) -> Image.Image:
    """The whole picture, decoded, as RGB."""
    if picture.mode not in _GRAY | _COLOUR:
        raise DataError(f"pictures of mode {picture.mode} are not read", where=where, mend="convert it to RGB")
    with decoding(where):
        return picture.convert("RGB")


def _pixels(picture: Image.Image) -> torch.Tensor:
    """An RGB picture as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def _centre(picture: Image.Image) -> tuple[int, int, int, int]:
    """The largest square in the middle of a picture: left, upper, right, lower."""
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side
