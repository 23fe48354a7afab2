"""`model.head`: a last layer that is fitted to the training images, in place of initial values of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ticketlab.spec.section import Choice, family


class HeadChoice(Choice):
    """How the linear layer from features to outputs is found, of the features that the dense network starts with.

    `made_by` names a function (options, parts, counts) -> the weights (classes, D) of that layer in float64; parts are of
    features (B, D) with their labels (B,), counts (classes,) how many images there are of each class. Where the layer has
    a bias, the last feature is 1 and its weight the bias.
    """


class Ridge(HeadChoice):
    """Ridge regression of one-hot targets, in closed form."""

    made_by: ClassVar[str] = "ticketlab.models.ridge:ridge"
    about: ClassVar[str] = "ridge regression of one-hot targets on the features, classes weighing equally"
    source: ClassVar[str] = "arXiv 2509.24066, its tasks of ten ImageNet classes"

    kind: Literal["ridge"] = Field(default="ridge", description="Ridge regression.")
    penalty: float = Field(
        default=1.0, ge=0, le=1e9, description="What the squared weights, the bias among them, are multiplied by."
    )


if TYPE_CHECKING:
    Head = HeadChoice
else:
    Head = family("heads", "kind", Ridge)
