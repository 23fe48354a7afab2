"""A ticket out of a file: a mask that was drawn elsewhere, on other images say, carried to this model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.masked import LayerKind, Masked
from ticketlab.spec.pinned_file import PinnedFile
from ticketlab.spec.structure import Structure, StructureChoice, Weights

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec


class Transferred(PinnedFile, Masked):
    """Wear the mask of a ticket's file; the networks start from initial values, or from what `model.start` names."""

    made_by: ClassVar[str] = "ticketlab.tickets.transfer:carried"
    about: ClassVar[str] = "transfer: the mask of a ticket's file, its layers matched by name and shape"
    source: ClassVar[str] = "Morcos et al. 2019, arXiv 1906.02773"

    method: Literal["file"] = Field(default="file", description="The mask of a ticket's file.")
    networks: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Which networks wear what the file masks of them; null is all that are trained.",
    )
    layers: tuple[LayerKind, ...] | None = Field(
        default=None, min_length=1, description="Kinds of layer that wear what the file masks of them; null is all."
    )
    last_layer: Literal["pruned", "dense"] | None = Field(
        default=None,
        description="Whether the layer that gives a network's outputs wears its mask; null is dense where it has another "
        "number of outputs (classes) than in the file, and else as the file has it.",
    )
    structure: Structure = Field(
        default=Weights(), description="What was pruned together in the file's mask; the masks of controls keep it."
    )

    @property
    def control_structure(self) -> StructureChoice:
        """The structure that the file is said to have."""
        return self.structure

    def settled(self, spec: Spec, at: Path) -> Self:
        """All networks that are trained and all kinds of layer, where none are named: the file says what is masked."""
        learning = spec.train.learns
        trained = tuple(name for name in spec.model.networks if learning is None or name in learning)
        update = {"networks": self.networks or trained, "layers": self.layers or spec.model.layer_kinds}
        return super(Transferred, self.model_copy(update=update)).settled(spec, at)

    def _last_layer(self, at: Path) -> Literal["pruned", "dense"] | None:
        """As it is: what is in the file is known when it is read."""
        return self.last_layer
