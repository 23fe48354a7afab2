"""The entries of `train.regularisers`: what is added to the losses of a GAN's players, whatever these losses are."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.section import Choice, Section, family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec
    from ticketlab.spec.train import Adversarial

Player = Literal["generator", "critic"]


class RegulariserChoice(Choice):
    """A kind of term in the losses of the players it is `on`.

    `made_by` names a function (options, Turn) -> a scalar that is added to the player's loss (ticketlab/training/turn.py).
    `needs_parts` names what it works on inside the networks ("critic.features"), as `ModelChoice.parts` does; those of a
    player it is not on are not needed.
    """

    needs_parts: ClassVar[frozenset[str]] = frozenset()

    on: tuple[Player, ...] = Field(
        default=("generator", "critic"), min_length=1, max_length=2, description="The players whose losses it adds to."
    )

    @property
    def works_on(self) -> frozenset[str]:
        """The parts it needs of the players it is on."""
        return frozenset(part for part in self.needs_parts if part.partition(".")[0] in self.on)

    def forwards(self, train: Adversarial) -> Mapping[str, int]:
        """Images each network works through for it per step, beyond what `train` does, a backward counted as two."""
        return {}

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses a model without the parts it works on."""
        missing = sorted(self.works_on - spec.model.parts)
        if missing:
            network, _, part = missing[0].partition(".")
            what = (
                f"`{self.name}` works on the {part} of the {network}, and that of `{spec.model.name}` has no such part"
            )
            raise Impossible(at, what, mend="remove it, or a model with parts, as `sngan`")
        if len(set(self.on)) != len(self.on):
            raise Impossible((*at, "on"), "a player is named twice", mend=f"on: [{', '.join(dict.fromkeys(self.on))}]")
        return self


class FeatureSteps(Section):
    """How features are moved against a player; the members' own fields, without the key that tells members apart."""

    on: tuple[Player, ...] = Field(
        default=("generator", "critic"), min_length=1, max_length=2, description="The players whose losses it adds to."
    )
    gamma: float = Field(
        default=0.01, ge=0, le=100, description="Length of a step, in units of each feature; 0 is none."
    )
    steps: int = Field(default=1, ge=1, le=100, description="Steps, each along the sign of a new gradient.")
    direction: Literal["adversarial", "reference"] = Field(
        default="adversarial",
        description="Against the player (reals and the generator's images down in score, the critic's fakes up); or as in "
        "the released code, up for all, with forwards of the search moving running statistics and spectral vectors.",
    )


class AdversarialFeatures(FeatureSteps, RegulariserChoice):
    """Half of a loss is taken on features moved against the player: a few signed steps of its score's gradient."""

    made_by: ClassVar[str] = "ticketlab.training.adversarial_features:term"
    about: ClassVar[str] = "half of each loss on adversarially perturbed features (AdvAug)"
    source: ClassVar[str] = "Chen et al. 2021, arXiv 2103.00397"
    needs_parts: ClassVar[frozenset[str]] = frozenset(
        {"generator.project", "generator.grow", "critic.features", "critic.head"}
    )

    kind: Literal["adversarial_features"] = Field(
        default="adversarial_features", description="Adversarial feature augmentation."
    )

    def forwards(self, train: Adversarial) -> Mapping[str, int]:
        """Each step and the second branch go through both networks for the generator; for the critic only a layer."""
        if "generator" not in self.on or not self.gamma:
            return {}
        # The search needs no gradients of weights.
        images = (2 * self.steps + 3) * train.generator_batch
        return {"generator": images, "critic": images}


if TYPE_CHECKING:
    Regularisation = RegulariserChoice
else:
    Regularisation = family("regularisers", "kind", AdversarialFeatures)
