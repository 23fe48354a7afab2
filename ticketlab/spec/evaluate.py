"""The `evaluate` section: what is measured, on how many samples, how often, through which feature extractor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.metric import Metric
from ticketlab.spec.model import Model, ModelChoice
from ticketlab.spec.optimizer import Adam
from ticketlab.spec.pinned_file import PinnedFile
from ticketlab.spec.rate_schedule import Cosine
from ticketlab.spec.section import SMOKE_STEPS, Choice, Section, family
from ticketlab.spec.task import CLASSIFIER, Scaling, Split
from ticketlab.spec.train import CrossEntropy, Objective

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec


class ExtractorChoice(Choice):
    """A network whose features stand for images.

    `made_by` names a function (options, shape) -> FeatureExtractor (ticketlab/metrics/extractors.py); of one that is
    trained, (options, shape, weights, dataset=, scaling=). A file that the options pin has been found by then, and
    `file` is its absolute path. `has_classes`: whether its features tell classes apart that metrics may count.
    """

    scaling: ClassVar[Scaling] = "standard"
    """How one that is trained sees images, whatever the networks that are measured through it see."""
    has_classes: ClassVar[bool] = False

    def training(self) -> tuple[ModelChoice, Objective] | None:
        """What is trained to make it, and how; None for one that is made without training."""
        return None


class LabClassifier(ExtractorChoice):
    """A small classifier that the lab trains on the whole training split; features are its penultimate layer."""

    made_by: ClassVar[str] = "ticketlab.metrics.extractors:lab_classifier"
    about: ClassVar[str] = "penultimate layer of a small classifier trained by the lab on the full training split"
    labels: ClassVar[str] = "class"
    has_classes: ClassVar[bool] = True

    kind: Literal["lab_classifier"] = Field(default="lab_classifier", description="A classifier trained by the lab.")
    model: Model = Field(
        default={"kind": "convnet"},  # type: ignore[assignment]
        description="The classifier that is trained.",
    )
    steps: int = Field(
        default=1000, ge=1, le=1_000_000, description="Training steps of the classifier (batches of 128)."
    )

    @property
    def usual(self) -> LabClassifier:
        """The one that is meant where a spec says no more than its name."""
        return LabClassifier()

    def training(self) -> tuple[ModelChoice, Objective] | None:
        """The classifier, by cross-entropy."""
        optimizer = Adam(lr=1e-3, beta1=0.9, beta2=0.999)
        return self.model, CrossEntropy(steps=self.steps, batch=128, optimizer=optimizer, rate_schedule=Cosine())

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses a model that is no classifier."""
        if self.model.trains != CLASSIFIER:
            raise Impossible((*at, "model"), f"`{self.model.name}` is no classifier", mend="kind: convnet")
        return self.model_copy(update={"model": self.model.settled(spec, (*at, "model"))})

    def tiny(self) -> Self:
        """Trained for two steps."""
        return self.model_copy(update={"steps": SMOKE_STEPS})


class RandomConv(ExtractorChoice):
    """A convolutional network of seeded random weights, never trained: weak, but the same everywhere."""

    made_by: ClassVar[str] = "ticketlab.metrics.extractors:random_conv"
    about: ClassVar[str] = "seeded random convolutional network; fully reproducible, weak"

    kind: Literal["random_conv"] = Field(default="random_conv", description="A seeded random network.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Seed of the random weights.")
    width: int = Field(
        default=64, ge=1, le=1024, description="Channels of the first layer; features are 4 times as many."
    )


class Inception(PinnedFile, ExtractorChoice):
    """Torchvision's Inception-v3 by a file of its weights: what generative papers outside TensorFlow measure by.

    Not the network of the FID, whose weights come from TensorFlow and whose pools are others.
    """

    made_by: ClassVar[str] = "ticketlab.metrics.inception:inception"
    noise_by: ClassVar[str] = "ticketlab.metrics.inception:noise"
    about: ClassVar[str] = "torchvision's Inception-v3, last pool, from a file of weights; not the network of the FID"
    source: ClassVar[str] = "Szegedy et al. 2016, arXiv 1512.00567; weights: torchvision"
    has_classes: ClassVar[bool] = True

    kind: Literal["inception"] = Field(default="inception", description="Torchvision's Inception-v3.")


if TYPE_CHECKING:
    Extractor = ExtractorChoice
else:
    Extractor = family("extractors", "kind", LabClassifier, RandomConv, Inception)


class Evaluate(Section):
    """What is measured."""

    metrics: tuple[Metric, ...] | None = Field(
        default=None,
        min_length=1,
        description="What is measured; null is accuracy and loss for classifiers, mean_iou, pixel_accuracy and loss for "
        "segmenters, frechet and prdc for GANs.",
    )
    samples: int = Field(
        default=10_000,
        ge=2,
        le=10_000_000,
        description="Generated images per evaluation, and the most real images used.",
    )
    every: int | None = Field(
        default=None,
        ge=1,
        description="Training steps between evaluations on the way; null evaluates only at the end. A change keeps other "
        "snapshots, so it trains again, to the same weights.",
    )
    split: Split | None = Field(
        default=None,
        description="Real images that are compared with: null is the whole training split for GANs and test for all others.",
    )
    extractor: Extractor = Field(
        default={"kind": "lab_classifier"},  # type: ignore[assignment]
        description="Network whose features the generative metrics use.",
    )
