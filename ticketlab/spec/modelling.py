"""What the kinds of model share: a task, networks by name, prunable layers, the sizes of image they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field

from ticketlab.spec.head import Head, HeadChoice
from ticketlab.spec.initial import Initial
from ticketlab.spec.section import Choice
from ticketlab.spec.start import Start
from ticketlab.spec.task import CLASSIFIER, Task

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

Width = Annotated[int, Field(ge=1, le=4096)]
"""Channels or units of a layer."""


class ModelChoice(Choice):
    """A kind of model. `networks` are the parts it is made of; the first is the one measured, and pruned by default.

    `made_by` names a function (options, shape) -> Blueprint (ticketlab/models/build.py). `layer_kinds` are the kinds of
    layer its networks have, `prunable_layers` those that its paper prunes. `backbone` is where its tensors
    are named as torchvision's residual networks name theirs, so that weights trained elsewhere fit: a network, or a
    module of one ("segmenter.backbone"); None where nothing is. `parts` names what its networks can be taken apart into
    ("critic.features"), as ticketlab/models/parts.py has it.
    """

    trains: ClassVar[Task]
    networks: ClassVar[tuple[str, ...]]
    layer_kinds: ClassVar[tuple[str, ...]] = ("conv", "linear")
    prunable_layers: ClassVar[tuple[str, ...]] = ("conv", "linear")
    sizes: ClassVar[tuple[int, ...] | None] = None
    backbone: ClassVar[str | None] = None
    parts: ClassVar[frozenset[str]] = frozenset()

    init: Initial | None = Field(
        default=None, description="How weights start; null is as the model's own paper has it."
    )
    start: Start | None = Field(
        default=None, description="Weights trained elsewhere to start from; null starts from initial values alone."
    )

    @property
    def fitted(self) -> HeadChoice | None:
        """How its last layer is fitted to the training images; None where that starts as all others do."""
        return None

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses a start from weights that cannot fit."""
        if self.start is None:
            return self
        return self.model_copy(update={"start": self.start.settled_for(self, (*at, "start"))})


class ClassifierChoice(ModelChoice):
    """A kind of classifier: one network, from images to one logit for each class."""

    trains: ClassVar[Task] = CLASSIFIER
    networks: ClassVar[tuple[str, ...]] = ("classifier",)

    head: Head | None = Field(
        default=None,
        description="How the last layer is fitted to the training images, once, on what the dense network starts from and before any "
        "ticket; null starts it as all other layers.",
    )

    @property
    def fitted(self) -> HeadChoice | None:
        """What `head` says."""
        return self.head
