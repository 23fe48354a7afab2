"""The entries of `train.augment`: what is done to a batch of images before a network sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ticketlab.spec.section import Choice, family


class DiffAugment(Choice):
    """Differentiable augmentation, on real and generated images alike when a GAN is trained."""

    made_by: ClassVar[str] = "ticketlab.augment.diffaugment:build"
    about: ClassVar[str] = "differentiable colour, translation and cutout, on reals and fakes alike"
    source: ClassVar[str] = "Zhao et al. 2020, arXiv 2006.10738"

    kind: Literal["diffaugment"] = Field(default="diffaugment", description="Differentiable augmentation.")
    policy: tuple[Literal["color", "translation", "cutout"], ...] = Field(
        default=("color", "translation", "cutout"), min_length=1, description="Operations, applied in the order given."
    )


class Crop(Choice):
    """Pad with black, then cut out a window of the original size at a random place."""

    made_by: ClassVar[str] = "ticketlab.augment.crop_flip:crop"
    about: ClassVar[str] = "random crop after padding"

    kind: Literal["crop"] = Field(default="crop", description="Random crop.")
    padding: int = Field(default=4, ge=1, le=64, description="Border added on every side before cropping, in pixels.")


class Flip(Choice):
    """Mirror each image left to right with probability one half."""

    made_by: ClassVar[str] = "ticketlab.augment.crop_flip:flip"
    about: ClassVar[str] = "random horizontal flip"

    kind: Literal["flip"] = Field(default="flip", description="Random horizontal flip.")


if TYPE_CHECKING:
    Augmentation = Choice
else:
    Augmentation = family("augmentations", "kind", DiffAugment, Crop, Flip)
