"""`model.start`: weights trained elsewhere that a network starts from, in place of initial values of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.pinned_file import PinnedFile
from ticketlab.spec.section import Choice, NoEffect, family

if TYPE_CHECKING:
    from ticketlab.spec.modelling import ModelChoice
    from ticketlab.spec.positions import Path

Names = Literal["torchvision", "moco", "clip", "ticketlab"]
"""How the tensors in a file are named: the keys of `ORIGINS` in ticketlab/models/pretrained.py."""

RELEASED = {
    ("IMAGENET1K_V1", 18): "f37072fd",
    ("IMAGENET1K_V1", 34): "b627a593",
    ("IMAGENET1K_V1", 50): "0676ba61",
    ("IMAGENET1K_V1", 101): "63fe2227",
    ("IMAGENET1K_V1", 152): "394f9c45",
    ("IMAGENET1K_V2", 50): "11ad3fa6",
    ("IMAGENET1K_V2", 101): "cd907fc2",
    ("IMAGENET1K_V2", 152): "f82ba261",
}
"""What the sha256 of torchvision's files begins with, by name of the weights and depth; the files' names end in it."""


class StartChoice(Choice):
    """A file of weights. What it has no counterpart for, a head of another number of classes say, starts as initialised.

    `made_by` names a function (options, model, project) -> WantedFile (ticketlab/run/wanted_file.py). Where the file lies
    is nobody's business but this machine's; what is in it, the member fixes.
    """

    if TYPE_CHECKING:

        @property
        def names(self) -> Names:
            """Whose names the tensors in the file have."""

    def is_of_colour(self) -> bool:
        """Whether it is known that the weights begin with a convolution of three channels."""
        return False

    def settled_for(self, model: ModelChoice, at: Path) -> Self:
        """Refuses what can be known not to fit the model; shapes are looked at when the file is read."""
        if model.backbone is None and self.names != "ticketlab":
            raise Impossible(
                at,
                f"`{model.name}` has no part with the names of torchvision's ImageNet residual networks",
                mend="names: ticketlab for weights that a run published, model.kind: imagenet_resnet, or remove `start`",
            )
        return self


class StateDictFile(PinnedFile, StartChoice):
    """A state dict in a file of the user's, fixed by its sha256."""

    made_by: ClassVar[str] = "ticketlab.run.start_file:given_file"
    about: ClassVar[str] = (
        "a state dict in a file: torchvision's or DINO's, MoCo v2's, CLIP RN50's, or what the lab trained"
    )

    kind: Literal["file"] = Field(default="file", description="A file of weights, .pth or .safetensors.")
    names: Names = Field(
        description="Whose names its tensors have; `torchvision`: DINO's ResNet-50 too, which has these without a head; "
        "`ticketlab`: what a run published of the same model (or a classifier, for the backbone of another)."
    )

    def is_of_colour(self) -> bool:
        """MoCo's are; those of others may be anybody's, and CLIP's first convolutions are not taken over."""
        return self.names == "moco"


class TorchvisionWeights(StartChoice):
    """The weights that torchvision publishes for the model's depth, by name."""

    made_by: ClassVar[str] = "ticketlab.run.start_file:torchvision_file"
    about: ClassVar[str] = "torchvision's ImageNet weights by name, from its cache or downloaded"
    source: ClassVar[str] = "He et al. 2016, arXiv 1512.03385; trained by torchvision's references"

    kind: Literal["torchvision"] = Field(default="torchvision", description="Weights that torchvision publishes.")
    weights: Literal["IMAGENET1K_V1", "IMAGENET1K_V2"] = Field(
        default="IMAGENET1K_V1", description="Which of them, as torchvision calls them."
    )
    file: Annotated[
        str | None, NoEffect("where the file lies on this machine; its name and checksum are torchvision's")
    ] = Field(
        default=None,
        min_length=1,
        max_length=1000,
        description="Path of the file, from the project's folder on; null is data/weights/, else torch's cache, else a "
        "download into that. Does not affect results.",
    )

    @property
    def names(self) -> Names:
        """Torchvision's."""
        return "torchvision"

    @property
    def released(self) -> tuple[str, ...]:
        """What torchvision calls the files of these weights, one for each depth."""
        return tuple(f"resnet{deep}-{begin}.pth" for (name, deep), begin in RELEASED.items() if name == self.weights)

    def is_of_colour(self) -> bool:
        """All of them."""
        return True

    def settled_for(self, model: ModelChoice, at: Path) -> Self:
        """Refuses a depth or width that torchvision has no such weights of."""
        super().settled_for(model, at)
        depth, width = getattr(model, "depth", 0), getattr(model, "width", 0)
        if (self.weights, depth) not in RELEASED:
            depths = ", ".join(str(deep) for weights, deep in RELEASED if weights == self.weights)
            raise Impossible(
                (*at, "weights"), f"torchvision has no {self.weights} of depth {depth}", mend=f"depths: {depths}"
            )
        if width != 64:
            raise Impossible(at, f"torchvision's weights are of width 64, not {width}", mend="model.width: 64")
        return self


if TYPE_CHECKING:
    Start = StartChoice
else:
    Start = family("starts", "kind", StateDictFile, TorchvisionWeights)
