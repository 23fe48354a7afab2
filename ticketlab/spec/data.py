"""The `data` section: which images, how many of them, and in what shape they reach the network."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import Field

from ticketlab.spec.section import Section, Share
from ticketlab.spec.task import Scaling


class Data(Section):
    """Which images are trained on. The evaluation statistics always come from the whole split, or all of it in `classes`."""

    dataset: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="Name of a dataset: one that ticketlab knows, or one added with `ticketlab data add`.",
    )
    classes: tuple[int | str, ...] | None = Field(
        default=None,
        min_length=2,
        max_length=100_000,
        description="The classes whose images are there, of both splits, by number (from 0) or name; an image's label is the place "
        "of its class in this list. null is all.",
    )
    ratio: Share | None = Field(
        default=None, description="Share of the training images to keep, in (0, 1]; exclusive with `count`."
    )
    count: int | None = Field(
        default=None, ge=1, description="Number of training images to keep; exclusive with `ratio`."
    )
    subset: Literal["balanced", "uniform", "first"] = Field(
        default="balanced",
        description="How the kept images are chosen: equally many per class, uniformly at random, or the first in file order.",
    )
    size: int | None = Field(
        default=None,
        ge=8,
        le=1024,
        description="Image side in pixels as the network sees it; null is the dataset's own.",
    )
    fit: Literal["resize", "pad"] = Field(
        default="resize", description="How images reach `size`: bilinear resizing, or a black border (only to grow)."
    )
    scaling: Scaling | None = Field(
        default=None,
        description="Pixel range: symmetric [-1, 1], standard (zero mean and unit variance per channel), unit [0, 1]; "
        "null is symmetric for GANs and standard for all others.",
    )

    def kept_of(self, total: int) -> int:
        """How many of `total` training images are kept: `count`, int(total * ratio) without rounding error, or all.

        The ratio is taken as the decimal it is written as. Whether so many are there, the caller asks.
        """
        if self.count is not None:
            return self.count
        return total if self.ratio is None else int(total * Fraction(str(self.ratio)))
