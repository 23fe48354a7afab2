"""The entries of `evaluate.metrics`: what is computed of a trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.section import Choice, family
from ticketlab.spec.task import CLASSIFIER, GAN, SEGMENTER, Task

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

FEWEST_OF_A_SPLIT = 10
"""Samples of each part that an inception score is taken of."""


class MetricChoice(Choice):
    """Something to measure networks of the tasks in `measures` by.

    `made_by` names a function (options, evidence) -> values by key; the evidence is what the task's measurer gathers
    once for all metrics (ticketlab/metrics/evidence.py). `sees_real_features`: whether it looks at feature vectors of
    real images, and not at their moments alone. `falls`: how the key of the value begins that falls as networks get
    better; empty where there is none.
    """

    measures: ClassVar[tuple[Task, ...]]
    sees_real_features: ClassVar[bool] = False
    falls: ClassVar[str] = ""

    @property
    def fewest_samples(self) -> int:
        """Samples without which there is no value."""
        return 0

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses a network of another task, and too few samples."""
        task = spec.model.trains
        if task not in self.measures:
            raise Impossible(
                at,
                f"`{self.name}` cannot be measured on a {task.name}",
                mend=f"for a {task.name}: {', '.join(measuring(task))}",
            )
        if spec.evaluate.samples < self.fewest_samples:
            what = f"`{self.name}` needs at least {self.fewest_samples} samples, not {spec.evaluate.samples}"
            raise Impossible(("evaluate", "samples"), what, mend=f"samples: {self.fewest_samples}")
        return self


class Accuracy(MetricChoice):
    """Share of the images whose largest logit is the label's."""

    made_by: ClassVar[str] = "ticketlab.metrics.accuracy:accuracy"
    about: ClassVar[str] = "share of the images that are classified right"
    measures: ClassVar[tuple[Task, ...]] = (CLASSIFIER,)

    kind: Literal["accuracy"] = Field(default="accuracy", description="Share classified right.")


class Loss(MetricChoice):
    """Mean cross-entropy, in nats."""

    made_by: ClassVar[str] = "ticketlab.metrics.accuracy:loss"
    about: ClassVar[str] = "mean cross-entropy, in nats"
    measures: ClassVar[tuple[Task, ...]] = (CLASSIFIER, SEGMENTER)
    falls: ClassVar[str] = "loss"

    kind: Literal["loss"] = Field(default="loss", description="Mean cross-entropy, in nats.")


class MeanIou(MetricChoice):
    """Intersection over union of predicted and true pixels, meant over the classes that occur in either."""

    made_by: ClassVar[str] = "ticketlab.metrics.segmentation:mean_iou"
    about: ClassVar[str] = "mean intersection over union of classes, from one confusion matrix of all labelled pixels"
    source: ClassVar[str] = "Everingham et al. 2015, The PASCAL VOC challenge: a retrospective"
    measures: ClassVar[tuple[Task, ...]] = (SEGMENTER,)

    kind: Literal["mean_iou"] = Field(default="mean_iou", description="Mean intersection over union.")


class PixelAccuracy(MetricChoice):
    """Share of the labelled pixels whose largest logit is the label's."""

    made_by: ClassVar[str] = "ticketlab.metrics.segmentation:pixel_accuracy"
    about: ClassVar[str] = "share of the labelled pixels that are classified right"
    measures: ClassVar[tuple[Task, ...]] = (SEGMENTER,)

    kind: Literal["pixel_accuracy"] = Field(default="pixel_accuracy", description="Share of pixels classified right.")


class Frechet(MetricChoice):
    """Frechet distance between the Gaussians of generated and of all real features."""

    made_by: ClassVar[str] = "ticketlab.metrics.frechet:measured"
    about: ClassVar[str] = "Frechet distance of generated images to all real ones"
    source: ClassVar[str] = "Heusel et al. 2017, arXiv 1706.08500"
    measures: ClassVar[tuple[Task, ...]] = (GAN,)
    falls: ClassVar[str] = "fd_"

    kind: Literal["frechet"] = Field(default="frechet", description="Frechet distance.")


class Kernel(MetricChoice):
    """Unbiased squared maximum mean discrepancy under a cubic kernel."""

    made_by: ClassVar[str] = "ticketlab.metrics.kernel:measured"
    about: ClassVar[str] = "kernel distance (cubic MMD) between generated and real images"
    source: ClassVar[str] = "Binkowski et al. 2018, arXiv 1801.01401"
    measures: ClassVar[tuple[Task, ...]] = (GAN,)
    sees_real_features: ClassVar[bool] = True
    falls: ClassVar[str] = "mmd3_"

    kind: Literal["kernel"] = Field(default="kernel", description="Kernel distance.")

    @property
    def fewest_samples(self) -> int:
        """Pairs of different samples are averaged over."""
        return 2


class Prdc(MetricChoice):
    """Precision, recall, density and coverage from nearest-neighbour balls."""

    made_by: ClassVar[str] = "ticketlab.metrics.prdc:measured"
    about: ClassVar[str] = "precision, recall, density and coverage of generated among real images"
    source: ClassVar[str] = "Kynkaanniemi et al. 2019, arXiv 1904.06991; Naeem et al. 2020, arXiv 2002.09797"
    measures: ClassVar[tuple[Task, ...]] = (GAN,)
    sees_real_features: ClassVar[bool] = True

    kind: Literal["prdc"] = Field(default="prdc", description="Precision, recall, density, coverage.")
    neighbours: int = Field(default=5, ge=1, le=100, description="A ball reaches to this nearest neighbour.")

    @property
    def fewest_samples(self) -> int:
        """A sample is no neighbour of its own."""
        return self.neighbours + 1


class InceptionScore(MetricChoice):
    """How sure the extractor's classifier is of each sample, and how evenly it spreads them over its classes.

    One for samples that all look alike, the number of classes for sure and evenly spread ones. Real images are not seen.
    """

    made_by: ClassVar[str] = "ticketlab.metrics.inception_score:measured"
    about: ClassVar[str] = "sureness and variety of the classes that the extractor sees; sees no real images"
    source: ClassVar[str] = "Salimans et al. 2016, arXiv 1606.03498"
    measures: ClassVar[tuple[Task, ...]] = (GAN,)

    kind: Literal["inception_score"] = Field(default="inception_score", description="Inception score.")
    splits: int = Field(
        default=10, ge=1, le=1000, description="Parts of the samples that are scored apart and averaged."
    )

    @property
    def fewest_samples(self) -> int:
        """A part of fewer has no marginal worth the name."""
        return FEWEST_OF_A_SPLIT * self.splits

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses an extractor without classes, too."""
        extractor = spec.evaluate.extractor
        if spec.model.trains == GAN and not extractor.has_classes:
            what = f"`{self.name}` counts classes, and the extractor `{extractor.name}` has none"
            raise Impossible(at, what, mend="evaluate.extractor.kind: inception or lab_classifier, or another metric")
        return super().settled(spec, at)


_FAMILY = family("metrics", "kind", Accuracy, Loss, MeanIou, PixelAccuracy, Frechet, Kernel, Prdc, InceptionScore)

if TYPE_CHECKING:
    Metric = MetricChoice
else:
    Metric = _FAMILY


def measuring(task: Task) -> dict[str, type[MetricChoice]]:
    """The metrics of networks that serve a task, by name."""
    return {member.model_fields["kind"].default: member for member in _FAMILY.members() if task in member.measures}


def metrics_of(spec: Spec) -> tuple[MetricChoice, ...]:
    """What a spec has measured: the metrics that it names, else what is usual for its model's task."""
    if spec.evaluate.metrics is not None:
        return spec.evaluate.metrics
    task = spec.model.trains
    known = measuring(task)
    return tuple(known[name]() for name in task.usual)
