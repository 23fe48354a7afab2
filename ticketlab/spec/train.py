"""The `train` section: the objective, its length, its optimisers, and what is done to the images on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.augment import Augmentation
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.optimizer import Adam, Optimizer, Sgd
from ticketlab.spec.rate_schedule import Constant, RateSchedule
from ticketlab.spec.section import SMOKE_STEPS, Choice, family
from ticketlab.spec.task import CLASSIFIER, GAN, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

__all__ = ["Adversarial", "CrossEntropy", "Hinge", "NonSaturating", "Objective", "Optimizer", "Train"]

SMOKE_BATCH = 4


class Objective(Choice):
    """What all trainings share."""

    trains: ClassVar[Task]

    steps: int = Field(ge=1, le=100_000_000, description="Length of a training, in steps.")
    batch: int = Field(default=64, ge=1, le=65_536, description="Images per update.")
    warmup: int = Field(default=0, ge=0, description="Steps over which the learning rate rises linearly from zero.")
    rate_schedule: RateSchedule = Field(
        default=Constant(), description="How the learning rate moves after the warm-up."
    )
    augment: tuple[Augmentation, ...] = Field(default=(), max_length=8, description="What is done to images, in order.")

    def forwards(self, networks: tuple[str, ...]) -> Mapping[str, int]:
        """Images each network works through per step, a backward pass counted as two forwards."""
        return dict.fromkeys(networks, 3 * self.batch)

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses a warm-up that fills the training; settles the rate schedule and the augmentations."""
        if self.warmup >= self.steps and self.warmup:
            raise Impossible(
                (*at, "warmup"), f"a warm-up of {self.warmup} steps fills all {self.steps}", mend="a shorter one"
            )
        update = {
            "rate_schedule": self.rate_schedule.settled(spec, (*at, "rate_schedule")),
            "augment": tuple(one.settled(spec, (*at, "augment", n)) for n, one in enumerate(self.augment)),
        }
        return self.model_copy(update=update)

    def tiny(self) -> Self:
        """Two steps on small batches."""
        return self.model_copy(update=self._tiny())

    def _tiny(self) -> dict[str, Any]:
        return {"steps": SMOKE_STEPS, "warmup": min(self.warmup, 1), "batch": min(self.batch, SMOKE_BATCH)}


class Adversarial(Objective):
    """What the adversarial objectives share. One step is `n_critic` critic updates, then one generator update."""

    trains: ClassVar[Task] = GAN

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

    def forwards(self, networks: tuple[str, ...]) -> Mapping[str, int]:
        """Fakes are made without a graph for the critic, and with one for the generator; the critic sees both sides."""
        return {
            "generator": self.n_critic * self.batch + 3 * self.generator_batch,
            "critic": self.n_critic * 6 * self.batch + 3 * self.generator_batch,
        }

    def settled(self, spec: Spec, at: Path) -> Self:
        """The critic's optimiser is the generator's if none is given."""
        optimizer = self.optimizer.settled(spec, (*at, "optimizer"))
        given = self.critic_optimizer
        critic = given.settled(spec, (*at, "critic_optimizer")) if given else optimizer
        return super().settled(spec, at).model_copy(update={"optimizer": optimizer, "critic_optimizer": critic})

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


class CrossEntropy(Objective):
    """Classification by cross-entropy."""

    made_by: ClassVar[str] = "ticketlab.training.classification:cross_entropy"
    about: ClassVar[str] = "classification by cross-entropy"
    trains: ClassVar[Task] = CLASSIFIER

    objective: Literal["cross_entropy"] = Field(default="cross_entropy", description="Cross-entropy classification.")
    steps: int = Field(ge=1, le=100_000_000, description="Length of a training, in batches.")
    batch: int = Field(default=128, ge=1, le=65_536, description="Images per step.")
    optimizer: Optimizer = Field(default=Sgd(), description="Optimiser of the network.")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="Share of the target spread over all classes.")

    def settled(self, spec: Spec, at: Path) -> Self:
        """Also settles the optimiser."""
        optimizer = self.optimizer.settled(spec, (*at, "optimizer"))
        return super().settled(spec, at).model_copy(update={"optimizer": optimizer})


if TYPE_CHECKING:
    Train = Objective
else:
    Train = family("objectives", "objective", Hinge, NonSaturating, CrossEntropy)
