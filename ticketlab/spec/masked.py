"""What all tickets have in common: which weights the mask lies over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.section import Choice
from ticketlab.spec.structure import StructureChoice, Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec
    from ticketlab.spec.train import Objective

LayerKind = Literal["conv", "linear"]


class Masked(Choice):
    """What all tickets share: where the mask lies."""

    networks: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Which networks are pruned; null is the first of the model (generator, classifier).",
    )
    layers: tuple[LayerKind, ...] | None = Field(
        default=None,
        min_length=1,
        description="Kinds of layer whose weights may be pruned; null is the model's published set.",
    )
    last_layer: Literal["pruned", "dense"] | None = Field(
        default=None,
        description="Whether the layer that gives a network's outputs is pruned like the others; null prunes it, "
        "unless whole channels are pruned: its channels are the outputs.",
    )

    def driven_by(self, spec: Spec) -> tuple[Objective, ...]:
        """The objectives that train networks under the mask."""
        return (spec.train,)

    @property
    def control_structure(self) -> StructureChoice:
        """The structure that a control's mask keeps."""
        return Weights()

    def settled(self, spec: Spec, at: Path) -> Self:
        """The networks and layers of the model, where none are named, and whether the last layers are among them."""
        networks = self.networks or spec.model.networks[:1]
        for position, network in enumerate(networks):
            if network not in spec.model.networks:
                raise Impossible(
                    (*at, "networks", position),
                    f"`{spec.model.name}` has no network `{network}`",
                    mend=", ".join(spec.model.networks),
                )
            for objective in self.driven_by(spec):
                if objective.learns is not None and network not in objective.learns:
                    raise Impossible(
                        (*at, "networks", position),
                        f"`{objective.name}` does not train the {network}",
                        mend=f"networks: [{', '.join(objective.learns)}]",
                    )
        refuse_absent(self.layers or spec.model.prunable_layers, spec, (*at, "layers"))
        update = {
            "networks": networks,
            "layers": self.layers or spec.model.prunable_layers,
            "last_layer": self._last_layer(at),
        }
        return self.model_copy(update=update)

    def _last_layer(self, at: Path) -> Literal["pruned", "dense"] | None:
        if not self.control_structure.takes_outputs:
            return self.last_layer or "pruned"
        if self.last_layer == "pruned":
            what = "whole channels of the last layer are outputs of the network"
            raise Impossible((*at, "last_layer"), what, mend="last_layer: dense")
        return "dense"


def refuse_absent(kinds: Sequence[str], spec: Spec, at: Path) -> None:
    """A model with no layer of any of these kinds has nothing that could be pruned."""
    there = spec.model.layer_kinds
    if not set(kinds) & set(there):
        raise Impossible(
            at, f"`{spec.model.name}` has no {' or '.join(kinds)} layers", mend=f"layers: [{', '.join(there)}]"
        )
