"""The `train` section: the objective, its length, its optimisers, and what is done to the images on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.augment import Augmentation
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.optimizer import Adam, Optimizer, Sgd
from ticketlab.spec.rate_schedule import Constant, RateSchedule
from ticketlab.spec.regulariser import AdversarialFeatures, FeatureSteps, Regularisation
from ticketlab.spec.section import SMOKE_STEPS, Choice, Share
from ticketlab.spec.task import CLASSIFIER, GAN, SEGMENTER, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ticketlab.spec.evaluate import ExtractorChoice
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

__all__ = [
    "Adversarial",
    "CrossEntropy",
    "Hinge",
    "NonSaturating",
    "Objective",
    "Optimizer",
    "PixelCrossEntropy",
]

SMOKE_BATCH = 4


class Objective(Choice):
    """What all trainings share.

    `learns` names the networks that are trained, None for all of the model's, whatever they are: a model without one of
    them is refused, and a mask lies only on those. `averaged_by` names the field with the decay of the moving average that
    the training keeps beside a network (0 in it is none), None for an objective that never keeps one.

    An objective may look at real images once, before every training: `prepared_by` then names a function (images,
    extractor) -> tensors by name, given the uint8 images (N, C, S, S) that are trained on and, if it `looks_through`
    one, the extractor (`Look` in ticketlab/training/setup.py). What it returns is `setup.prepared`; trainings share it.
    """

    trains: ClassVar[Task]
    learns: ClassVar[tuple[str, ...] | None] = None
    averaged_by: ClassVar[str | None] = None
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

    def scored(self) -> Self:
        """The objective whose losses a method derives that scores weights: without what is there for the training alone."""
        return self

    def forwards(self, networks: tuple[str, ...]) -> Mapping[str, int]:
        """Images each network works through per step, a backward pass counted as two forwards."""
        return dict.fromkeys(networks, 3 * self.batch)

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses a model without what is trained, and a warm-up that fills the training; settles the members of families."""
        missing = [network for network in self.learns or () if network not in spec.model.networks]
        if missing:
            what = f"`{self.name}` trains the {' and the '.join(self.learns or ())}, and `{spec.model.name}` has no {missing[0]}"
            raise Impossible((*at, "objective"), what, mend="another objective or model")
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


class CrossEntropy(Objective):
    """Classification by cross-entropy."""

    made_by: ClassVar[str] = "ticketlab.training.classification:cross_entropy"
    about: ClassVar[str] = "classification by cross-entropy"
    trains: ClassVar[Task] = CLASSIFIER

    objective: Literal["cross_entropy"] = Field(default="cross_entropy", description="Cross-entropy classification.")
    steps: int = Field(
        ge=1, le=100_000_000, description="Length of a training, in batches: epochs times images, by the batch."
    )
    batch: int = Field(default=128, ge=1, le=65_536, description="Images per step.")
    optimizer: Optimizer = Field(default=Sgd(), description="Optimiser of the network.")
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the target spread over all classes in training; scores of weights derive the plain loss.",
    )

    def scored(self) -> Self:
        """Plain cross-entropy, as SNIP and GraSP are published."""
        return self.model_copy(update={"label_smoothing": 0.0})

    def settled(self, spec: Spec, at: Path) -> Self:
        """Also settles the optimiser."""
        optimizer = self.optimizer.settled(spec, (*at, "optimizer"))
        return super().settled(spec, at).model_copy(update={"optimizer": optimizer})

    def _tiny(self) -> dict[str, Any]:
        tiny = super()._tiny()
        # Two steps at the rate of a large batch leave deep networks with numbers out of range.
        return {**tiny, "optimizer": self.optimizer.slowed(tiny["batch"] / self.batch)}


class PixelCrossEntropy(Objective):
    """Segmentation by the mean cross-entropy of the pixels that have a label."""

    made_by: ClassVar[str] = "ticketlab.training.segmentation:pixel_cross_entropy"
    about: ClassVar[str] = "segmentation by the cross-entropy of labelled pixels"
    trains: ClassVar[Task] = SEGMENTER

    objective: Literal["pixel_cross_entropy"] = Field(
        default="pixel_cross_entropy", description="Cross-entropy of pixels."
    )
    steps: int = Field(
        ge=1, le=100_000_000, description="Length of a training, in batches: epochs times images, by the batch."
    )
    batch: int = Field(default=4, ge=1, le=65_536, description="Images per step.")
    optimizer: Optimizer = Field(default=Sgd(lr=0.01), description="Optimiser of the network.")
    backbone_rate: Share = Field(
        default=1.0, description="Learning rate of the backbone's layers, as a share of that of all others, in (0, 1]."
    )

    def settled(self, spec: Spec, at: Path) -> Self:
        """Also settles the optimiser."""
        optimizer = self.optimizer.settled(spec, (*at, "optimizer"))
        return super().settled(spec, at).model_copy(update={"optimizer": optimizer})
