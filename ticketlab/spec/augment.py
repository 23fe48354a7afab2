"""The entries of `train.augment`: what is done to a batch of images before a network sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from ticketlab.spec.section import Choice, Share, family


def _rising(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[0] > interval[1]:
        raise ValueError("the first number must not be above the second")
    return interval


Ratio = Annotated[float, Field(ge=0.1, le=10)]
Range = Annotated[float, Field(ge=0, le=1)]


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


class ResizedCrop(Choice):
    """Cut out a window of random area and shape, and bring it to the size of the image.

    Of a streamed dataset it is cut out of the whole picture, before all other augmentations.
    """

    made_by: ClassVar[str] = "ticketlab.augment.resized_crop:build"
    about: ClassVar[str] = "random window of an image, brought to the whole size"
    source: ClassVar[str] = "Szegedy et al. 2015, arXiv 1409.4842"

    kind: Literal["resized_crop"] = Field(default="resized_crop", description="Random window, resized.")
    scale: Annotated[tuple[Share, Share], AfterValidator(_rising)] = Field(
        default=(0.08, 1.0), description="Least and largest area of the window, as shares of the image."
    )
    ratio: Annotated[tuple[Ratio, Ratio], AfterValidator(_rising)] = Field(
        default=(3 / 4, 4 / 3), description="Least and largest width of the window over its height."
    )


class Rescale(Choice):
    """Enlarge or shrink each image, then cut out a window of the original size, black where the image does not reach."""

    made_by: ClassVar[str] = "ticketlab.augment.rescale:build"
    about: ClassVar[str] = "random size, then a random window of the old one"
    source: ClassVar[str] = "Chen et al. 2017, arXiv 1706.05587"

    kind: Literal["rescale"] = Field(default="rescale", description="Random size, then a window of the old one.")
    factor: Annotated[tuple[Ratio, Ratio], AfterValidator(_rising)] = Field(
        default=(0.5, 2.0), description="Least and largest height and width, as multiples of the image's."
    )


class Jitter(Choice):
    """Brightness, contrast, saturation and hue of each image changed at random, the four in an order drawn per batch."""

    made_by: ClassVar[str] = "ticketlab.augment.colour:jitter"
    about: ClassVar[str] = "random brightness, contrast, saturation and hue"
    source: ClassVar[str] = "Howard 2013, arXiv 1312.5402; ranges as torchvision's ColorJitter has them"

    kind: Literal["jitter"] = Field(default="jitter", description="Random brightness, contrast, saturation and hue.")
    brightness: Range = Field(default=0.4, description="Factors from 1 - this to 1 + this.")
    contrast: Range = Field(default=0.4, description="Factors from 1 - this to 1 + this, of distances from mean gray.")
    saturation: Range = Field(default=0.4, description="Factors from 1 - this to 1 + this, of distances from gray.")
    hue: float = Field(default=0.4, ge=0, le=0.5, description="Turns of the colour circle, from minus this to this.")


class Grayscale(Choice):
    """Each image without its colours, with some probability."""

    made_by: ClassVar[str] = "ticketlab.augment.colour:grayscale"
    about: ClassVar[str] = "colours taken away at random"

    kind: Literal["grayscale"] = Field(default="grayscale", description="Colours taken away at random.")
    chance: float = Field(default=0.2, ge=0, le=1, description="Probability, per image.")


if TYPE_CHECKING:
    Augmentation = Choice
else:
    Augmentation = family("augmentations", "kind", DiffAugment, Crop, Flip, ResizedCrop, Rescale, Jitter, Grayscale)
