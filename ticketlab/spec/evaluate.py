"""The `evaluate` section: what is measured, on how many samples, how often, through which feature extractor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.metric import Metric
from ticketlab.spec.model import Model
from ticketlab.spec.section import SMOKE_STEPS, Choice, Section, family
from ticketlab.spec.task import CLASSIFIER, Split

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec


class LabClassifier(Choice):
    """A small classifier that the lab trains on the whole training split; features are its penultimate layer."""

    made_by: ClassVar[str] = "ticketlab.metrics.extractors:lab_classifier"
    about: ClassVar[str] = "penultimate layer of a small classifier trained by the lab on the full training split"

    kind: Literal["lab_classifier"] = Field(default="lab_classifier", description="A classifier trained by the lab.")
    model: Model = Field(
        default={"kind": "convnet"},  # type: ignore[assignment]
        description="The classifier that is trained.",
    )
    steps: int = Field(
        default=1000, ge=1, le=1_000_000, description="Training steps of the classifier (batches of 128)."
    )

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses a model that is no classifier."""
        if self.model.trains != CLASSIFIER:
            raise Impossible((*at, "model"), f"`{self.model.name}` is no classifier", mend="kind: convnet")
        return self.model_copy(update={"model": self.model.settled(spec, (*at, "model"))})

    def tiny(self) -> Self:
        """Trained for two steps."""
        return self.model_copy(update={"steps": SMOKE_STEPS})


class RandomConv(Choice):
    """A convolutional network of seeded random weights, never trained: weak, but the same everywhere."""

    made_by: ClassVar[str] = "ticketlab.metrics.extractors:random_conv"
    about: ClassVar[str] = "seeded random convolutional network; fully reproducible, weak"

    kind: Literal["random_conv"] = Field(default="random_conv", description="A seeded random network.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Seed of the random weights.")
    width: int = Field(
        default=64, ge=1, le=1024, description="Channels of the first layer; features are 4 times as many."
    )


if TYPE_CHECKING:
    Extractor = Choice
else:
    Extractor = family("extractors", "kind", LabClassifier, RandomConv)


class Evaluate(Section):
    """What is measured."""

    metrics: tuple[Metric, ...] | None = Field(
        default=None,
        min_length=1,
        description="What is measured; null is accuracy and loss for classifiers, frechet and prdc for GANs.",
    )
    samples: int = Field(
        default=10_000,
        ge=2,
        le=10_000_000,
        description="Generated images per evaluation, and the most real images used.",
    )
    every: int | None = Field(
        default=None, ge=1, description="Training steps between evaluations on the way; null evaluates only at the end."
    )
    split: Split | None = Field(
        default=None,
        description="Real images that are compared with: null is test for classifiers and the whole training split for GANs.",
    )
    extractor: Extractor = Field(
        default={"kind": "lab_classifier"},  # type: ignore[assignment]
        description="Network whose features the generative metrics use.",
    )
