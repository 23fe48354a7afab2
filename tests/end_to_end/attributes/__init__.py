"""A package that teaches ticketlab a kind of label it does not know: which of several attributes an image has."""

from typing import ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.labelling import LabelKind
from ticketlab.spec.metric import MetricChoice
from ticketlab.spec.modelling import ModelChoice
from ticketlab.spec.optimizer import Optimizer, Sgd
from ticketlab.spec.positions import Path
from ticketlab.spec.spec import Spec
from ticketlab.spec.task import Task
from ticketlab.spec.train import Objective

TAGGER = Task(
    name="tagger",
    usual=("attribute_accuracy",),
    scaling="standard",
    split="test",
    measured_by="attributes.measuring:measurer",
    labels="attributes",
)


class Attributes(LabelKind):
    """Which attributes an image has, as CelebA says it of faces."""

    made_by: ClassVar[str] = "attributes.labels:multi_hot"
    about: ClassVar[str] = "a yes or no for each attribute of each image"

    kind: Literal["attributes"] = Field(default="attributes", description="Yes or no for each attribute.")


class Tagger(ModelChoice):
    """One linear layer."""

    made_by: ClassVar[str] = "attributes.network:blueprint"
    about: ClassVar[str] = "one logit for each attribute"
    trains: ClassVar[Task] = TAGGER
    networks: ClassVar[tuple[str, ...]] = ("tagger",)

    kind: Literal["tagger"] = Field(default="tagger", description="A linear tagger.")


class BinaryCrossEntropy(Objective):
    """Every attribute is a question of its own."""

    made_by: ClassVar[str] = "attributes.training:binary_cross_entropy"
    about: ClassVar[str] = "binary cross-entropy of attributes"
    trains: ClassVar[Task] = TAGGER

    objective: Literal["binary_cross_entropy"] = Field(default="binary_cross_entropy", description="As it says.")
    optimizer: Optimizer = Field(default=Sgd(lr=0.1), description="Optimiser of the network.")

    def settled(self, spec: Spec, at: Path) -> Self:
        """Also settles the optimiser."""
        optimizer = self.optimizer.settled(spec, (*at, "optimizer"))
        return super().settled(spec, at).model_copy(update={"optimizer": optimizer})


class AttributeAccuracy(MetricChoice):
    """Share of the answers that are right."""

    made_by: ClassVar[str] = "attributes.measuring:accuracy"
    about: ClassVar[str] = "share of all answers that are right"
    measures: ClassVar[tuple[Task, ...]] = (TAGGER,)

    kind: Literal["attribute_accuracy"] = Field(default="attribute_accuracy", description="Share answered right.")
