"""The `train` section: the objective, its length, its optimisers, and what is done to the images on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.objective import SMOKE_BATCH, Objective
from ticketlab.spec.optimizer import Adam, Optimizer
from ticketlab.spec.regulariser import AdversarialFeatures, FeatureSteps, Regularisation
from ticketlab.spec.supervised import CrossEntropy, PixelCrossEntropy, SquaredError
from ticketlab.spec.task import GAN, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

__all__ = [
    "SMOKE_BATCH",
    "Adversarial",
    "CrossEntropy",
    "Hinge",
    "NonSaturating",
    "Objective",
    "Optimizer",
    "PixelCrossEntropy",
    "SquaredError",
]


class Adversarial(Objective):
    """What the adversarial objectives share. One step is `n_critic` critic updates, then one generator update.

    An objective is the pair of losses it is (`AdversarialLoss` in ticketlab/training/adversarial.py); what else a loss is
    to have is an entry of `regularisers`, of any of them.
    """

    trains: ClassVar[Task] = GAN
    learns: ClassVar[tuple[str, ...] | None] = ("generator", "critic")
    averaged_by: ClassVar[str | None] = "ema"

    steps: int = Field(ge=1, le=100_000_000, description="Length of a training, in generator updates.")
    batch: int = Field(default=64, ge=1, le=65_536, description="Real images per critic update.")
    generator_batch: int = Field(default=128, ge=1, le=65_536, description="Generated images per generator update.")
    n_critic: int = Field(default=5, ge=1, le=100, description="Critic updates per generator update.")
    optimizer: Optimizer = Field(default=Adam(), description="Optimiser of the generator.")
    critic_optimizer: Optimizer | None = Field(
        default=None, description="Optimiser of the critic; null is the generator's."
    )
    ema: float = Field(
        default=0.999, ge=0, lt=1, description="Decay per step of the averaged generator, which is the one evaluated."
    )
    regularisers: tuple[Regularisation, ...] = Field(
        default=(), max_length=8, description="What is added to the players' losses."
    )
    adversarial_features: FeatureSteps | None = Field(
        default=None, description="Short for an entry of `regularisers`; null adds none."
    )

    def forwards(self, networks: tuple[str, ...]) -> Mapping[str, int]:
        """Fakes are made without a graph for the critic, and with one for the generator; the critic sees both sides."""
        worked = {
            "generator": self.n_critic * self.batch + 3 * self.generator_batch,
            "critic": self.n_critic * 6 * self.batch + 3 * self.generator_batch,
        }
        for regulariser in self.regularisers:
            for network, images in regulariser.forwards(self).items():
                worked[network] += images
        return worked

    def settled(self, spec: Spec, at: Path) -> Self:
        """The critic's optimiser is the generator's if none is given; all that is added to the losses is `regularisers`."""
        optimizer = self.optimizer.settled(spec, (*at, "optimizer"))
        given = self.critic_optimizer
        critic = given.settled(spec, (*at, "critic_optimizer")) if given else optimizer
        update = {
            "optimizer": optimizer,
            "critic_optimizer": critic,
            "regularisers": self._regularisers(spec, at),
            "adversarial_features": None,
        }
        return super().settled(spec, at).model_copy(update=update)

    def _regularisers(self, spec: Spec, at: Path) -> tuple[Regularisation, ...]:
        """All that is added, in order, each kind once."""
        listed = [(one, (*at, "regularisers", position)) for position, one in enumerate(self.regularisers)]
        if self.adversarial_features is not None:
            short = AdversarialFeatures(**self.adversarial_features.model_dump())
            listed.append((short, (*at, "adversarial_features")))
        names = [one.name for one, _ in listed]
        for position, (one, here) in enumerate(listed):
            if one.name in names[:position]:
                raise Impossible(here, f"`{one.name}` is asked for twice", mend="remove one")
        return tuple(one.settled(spec, here) for one, here in listed)

    def _tiny(self) -> dict[str, Any]:
        small = {"generator_batch": min(self.generator_batch, SMOKE_BATCH), "n_critic": min(self.n_critic, 2)}
        return {**super()._tiny(), **small}


class Hinge(Adversarial):
    """Hinge loss for the critic, minus its mean score for the generator."""

    made_by: ClassVar[str] = "ticketlab.training.adversarial:hinge"
    about: ClassVar[str] = "hinge GAN loss"
    source: ClassVar[str] = "Lim and Ye 2017, arXiv 1705.02894; Miyato et al. 2018"

    objective: Literal["hinge"] = Field(default="hinge", description="Hinge GAN loss.")


class NonSaturating(Adversarial):
    """Logistic loss for the critic, the non-saturating form for the generator."""

    made_by: ClassVar[str] = "ticketlab.training.adversarial:non_saturating"
    about: ClassVar[str] = "non-saturating logistic GAN loss"
    source: ClassVar[str] = "Goodfellow et al. 2014, arXiv 1406.2661"

    objective: Literal["non_saturating"] = Field(default="non_saturating", description="Non-saturating GAN loss.")
