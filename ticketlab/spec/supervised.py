"""The objectives that learn from labels: classes by cross-entropy or squared error, pixels by cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.objective import Objective
from ticketlab.spec.optimizer import Optimizer, Sgd
from ticketlab.spec.section import Share
from ticketlab.spec.task import CLASSIFIER, SEGMENTER, Task

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec


class Supervised(Objective):
    """What they share: one network that learns, and which of its parts do not."""

    steps: int = Field(
        ge=0,
        le=100_000_000,
        description="Length of a training, in batches: epochs times images, by the batch. 0 measures what the networks start "
        "from, under their masks.",
    )
    optimizer: Optimizer = Field(default=Sgd(), description="Optimiser of the network.")
    last_layer: Literal["learned", "frozen"] = Field(
        default="learned",
        description="Whether the layer that gives the network's outputs learns, or keeps what it starts from.",
    )
    normalisation: Literal["batch", "frozen"] = Field(
        default="batch",
        description="What batch normalisation divides by in training: the statistics of each batch, running ones being kept for "
        "measuring, or the running ones that the network starts from, which stay. Scales and shifts learn in both.",
    )

    def settled(self, spec: Spec, at: Path) -> Self:
        """Also settles the optimiser."""
        optimizer = self.optimizer.settled(spec, (*at, "optimizer"))
        return super().settled(spec, at).model_copy(update={"optimizer": optimizer})

    def _tiny(self) -> dict[str, Any]:
        tiny = super()._tiny()
        # Two steps at the rate of a large batch leave deep networks with numbers out of range.
        return {**tiny, "optimizer": self.optimizer.slowed(tiny["batch"] / self.batch)}


class CrossEntropy(Supervised):
    """Classification by cross-entropy."""

    made_by: ClassVar[str] = "ticketlab.training.classification:cross_entropy"
    about: ClassVar[str] = "classification by cross-entropy"
    trains: ClassVar[Task] = CLASSIFIER

    objective: Literal["cross_entropy"] = Field(default="cross_entropy", description="Cross-entropy classification.")
    batch: int = Field(default=128, ge=1, le=65_536, description="Images per step.")
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the target spread over all classes in training; scores of weights derive the plain loss.",
    )

    def scored(self) -> Self:
        """Plain cross-entropy, as SNIP and GraSP are published."""
        return self.model_copy(update={"label_smoothing": 0.0})


class SquaredError(Supervised):
    """Classification by the squared distance of the outputs to 1 for the class and 0 for all others."""

    made_by: ClassVar[str] = "ticketlab.training.classification:squared_error"
    about: ClassVar[str] = "classification by the mean squared error of the outputs against one-hot targets"
    source: ClassVar[str] = "Hui and Belkin 2021, arXiv 2006.07322, their loss without rescaling"
    trains: ClassVar[Task] = CLASSIFIER

    objective: Literal["squared_error"] = Field(default="squared_error", description="Squared error against one-hot.")
    batch: int = Field(default=128, ge=1, le=65_536, description="Images per step.")
    # Its gradient grows with the outputs, which cross-entropy's does not: at ten times this rate deep networks overflow.
    optimizer: Optimizer = Field(default=Sgd(lr=0.01), description="Optimiser of the network.")


class PixelCrossEntropy(Supervised):
    """Segmentation by the mean cross-entropy of the pixels that have a label."""

    made_by: ClassVar[str] = "ticketlab.training.segmentation:pixel_cross_entropy"
    about: ClassVar[str] = "segmentation by the cross-entropy of labelled pixels"
    trains: ClassVar[Task] = SEGMENTER

    objective: Literal["pixel_cross_entropy"] = Field(
        default="pixel_cross_entropy", description="Cross-entropy of pixels."
    )
    batch: int = Field(default=4, ge=1, le=65_536, description="Images per step.")
    optimizer: Optimizer = Field(default=Sgd(lr=0.01), description="Optimiser of the network.")
    backbone_rate: Share = Field(
        default=1.0, description="Learning rate of the backbone's layers, as a share of that of all others, in (0, 1]."
    )
