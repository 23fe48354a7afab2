"""The `train` section: the objective, its length, its optimisers, and what is done to the images on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.augment import Augmentation
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.section import SMOKE_STEPS, Choice, Section
from ticketlab.spec.task import CLASSIFIER, GAN, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ticketlab.spec.evaluate import ExtractorChoice
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

SMOKE_BATCH = 4

Rate = Annotated[float, Field(gt=0, le=10)]


class Adam(Section):
    """Adam; a weight decay is an L2 term added to the gradient (not decoupled)."""

    kind: Literal["adam"] = Field(default="adam", description="Adam.")
    lr: Rate = Field(default=2e-4, description="Learning rate.")
    beta1: float = Field(default=0.0, ge=0, lt=1, description="Decay of the first moment, per step.")
    beta2: float = Field(default=0.9, ge=0, lt=1, description="Decay of the second moment, per step.")
    eps: float = Field(default=1e-8, gt=0, le=1, description="Added to the root of the second moment.")
    weight_decay: float = Field(default=0.0, ge=0, le=1, description="L2 coefficient, per step.")


class Sgd(Section):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"] = Field(default="sgd", description="Stochastic gradient descent.")
    lr: Rate = Field(default=0.1, description="Learning rate.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Momentum, per step.")
    nesterov: bool = Field(default=False, description="Nesterov's form of momentum.")
    weight_decay: float = Field(default=1e-4, ge=0, le=1, description="L2 coefficient, per step.")


Optimizer = Annotated[Adam | Sgd, Field(discriminator="kind")]


class Constant(Section):
    """The learning rate stays."""

    kind: Literal["constant"] = Field(default="constant", description="Constant learning rate.")


class Linear(Section):
    """The learning rate falls linearly to zero at the last step."""

    kind: Literal["linear"] = Field(default="linear", description="Linear decay to zero over the whole training.")


class Cosine(Section):
    """The learning rate follows half a cosine to zero at the last step."""

    kind: Literal["cosine"] = Field(default="cosine", description="Half a cosine to zero over the whole training.")


class Milestones(Section):
    """The learning rate is multiplied by `factor` at each milestone."""

    kind: Literal["milestones"] = Field(default="milestones", description="Drops at given points.")
    at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(0.5, 0.75),
        min_length=1,
        description="Points of the training where the rate drops, as shares of `steps`.",
    )
    factor: float = Field(default=0.1, gt=0, le=1, description="What the learning rate is multiplied by at each point.")


RateSchedule = Annotated[Constant | Linear | Cosine | Milestones, Field(discriminator="kind")]


class Objective(Choice):
    """What all trainings share.

    `learns` names the networks that are trained, None for all of the model's; a mask lies only on those. An objective
    may look at real images once, before every training: `prepared_by` then names a function (images, extractor) ->
    tensors by name, given the uint8 images (N, C, S, S) that are trained on and, if it `looks_through` one, the
    extractor (`Look` in ticketlab/training/setup.py). What it returns is `setup.prepared`; trainings share it.
    """

    trains: ClassVar[Task]
    learns: ClassVar[tuple[str, ...] | None] = None
    prepared_by: ClassVar[str] = ""

    steps: int = Field(ge=1, le=100_000_000, description="Length of a training, in steps.")
    batch: int = Field(default=64, ge=1, le=65_536, description="Images per update.")
    warmup: int = Field(default=0, ge=0, description="Steps over which the learning rate rises linearly from zero.")
    rate_schedule: RateSchedule = Field(
        default=Constant(), description="How the learning rate moves after the warm-up."
    )
    augment: tuple[Augmentation, ...] = Field(default=(), max_length=8, description="What is done to images, in order.")

    @property
    def looks_through(self) -> ExtractorChoice | None:
        """The extractor whose features the objective needs; None for one that needs none."""
        return None

    def forwards(self, networks: tuple[str, ...]) -> Mapping[str, int]:
        """Images each network works through per step, a backward pass counted as two forwards."""
        return dict.fromkeys(networks, 3 * self.batch)

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses a warm-up that fills the training, and milestones that do not rise."""
        if self.warmup >= self.steps and self.warmup:
            raise Impossible(
                (*at, "warmup"), f"a warm-up of {self.warmup} steps fills all {self.steps}", mend="a shorter one"
            )
        schedule = self.rate_schedule
        if isinstance(schedule, Milestones) and list(schedule.at) != sorted(set(schedule.at)):
            raise Impossible((*at, "rate_schedule", "at"), "milestones must rise", mend=str(sorted(set(schedule.at))))
        return self

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
        return (
            super().settled(spec, at).model_copy(update={"critic_optimizer": self.critic_optimizer or self.optimizer})
        )

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
