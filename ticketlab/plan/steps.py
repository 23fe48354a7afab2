"""The kinds of step a plan is made of: what each asks, what it reads, which code does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ticketlab.plan.measured import Curve, Evaluate, Measured, snapshot_file
from ticketlab.plan.step import HELD, Images, Measurement, Step
from ticketlab.spec.arm import ArmChoice
from ticketlab.spec.compute import Compute
from ticketlab.spec.drawing import Drawn
from ticketlab.spec.evaluate import Extractor
from ticketlab.spec.evolving import Evolving
from ticketlab.spec.labelling import Classes, LabelKind
from ticketlab.spec.model import ModelChoice
from ticketlab.spec.structure import StructureChoice
from ticketlab.spec.task import Split
from ticketlab.spec.train import Objective
from ticketlab.spec.transfer import Transferred

__all__ = [
    "Control",
    "Curve",
    "Draw",
    "Evaluate",
    "Images",
    "Measured",
    "Measurement",
    "Prepared",
    "Start",
    "Statistics",
    "Step",
    "Subset",
    "Train",
    "Transfer",
    "snapshot_file",
]


@dataclass(frozen=True, kw_only=True)
class Subset(Step):
    """Choosing the training images of a limited-data run, opened by the function of that name. Writes their indices.

    They are a `count`, or, of `chosen` classes, of which only the dataset says how many images they have, a `share`: so
    many of every so many.
    """

    performed_by: ClassVar[str] = "ticketlab.run.steps.subset:perform"
    kind: ClassVar[str] = "subset"
    dataset: str
    dataset_digest: str
    opened_by: str = HELD
    count: int = 0
    share: tuple[int, int] | None = None
    chosen: tuple[int, ...] = ()
    rule: str
    seed: int
    labels: LabelKind = field(default_factory=Classes)

    @property
    def title(self) -> str:
        """A few words for people."""
        if self.share is None:
            return f"subset of {self.count} images"
        return f"subset of {self.share[0]} in {self.share[1]} images of {len(self.chosen)} classes"

    def _makers(self) -> list[str]:
        return sorted({*super()._makers(), self.opened_by})


@dataclass(frozen=True, kw_only=True)
class Start(Step):
    """Reading the file that a model starts from. Writes the tensors that are taken over, and which are not.

    Those keep the initial values that every training and draw gives them by its own seed, so seeds share this step; so
    do datasets of one shape.
    """

    performed_by: ClassVar[str] = "ticketlab.run.steps.start:perform"
    kind: ClassVar[str] = "start"
    model: ModelChoice
    channels: int
    size: int
    classes: int

    @property
    def title(self) -> str:
        """A few words for people."""
        start = self.model.start
        return f"weights to start from ({start.names if start else 'none'})"


@dataclass(frozen=True, kw_only=True)
class Train(Step):
    """A training from given weights, under a given mask or one that it makes itself (`evolving`); `still`: none learn.

    Inputs: `subset` (absent: all images), `mask` (absent: dense), `pretrained` (absent: initial values alone),
    `rewound` (absent: from the initial weights), `prepared` and `looks_through` where the objective needs them. Writes
    weights, the moving average, buffers, the ticket where the mask is its own, and every `snapshots` steps the network
    that is measured. A mask that depends on measurements is told `heard`, with the inputs that a measurement needs;
    what it was told is in the rows.
    """

    performed_by: ClassVar[str] = "ticketlab.run.steps.train:perform"
    kind: ClassVar[str] = "train"
    seed: int
    images: Images
    model: ModelChoice
    objective: Objective
    compute: Compute
    initial: str = "init"
    begin: int = 0
    keep: int | None = None
    evolving: Evolving | None = None
    still: bool = False
    snapshots: int | None = None
    """How many steps apart the networks are that are kept for a `Curve`; None where none is kept.

    What a training leaves is part of its digest, so another cadence is another training, though it has the same
    weights. Snapshots as a step of their own would spare only those who ask for fewer: a network that was not kept is
    had by training again from the start, there being but one checkpoint, the latest. That second training has the bits
    of the first on the same arithmetic alone, so nobody could add snapshots in a store that came from another machine;
    and whoever does the training alone, or is killed before both steps are finished, would pay for it twice.
    """
    heard: Measurement | None = None
    label: str = field(default="train", compare=False)

    def asks(self) -> dict[str, Any]:
        """The values this training depends on; its label is for people."""
        return {name: value for name, value in super().asks().items() if name != "label"}

    @property
    def title(self) -> str:
        """A few words for people."""
        return self.label


@dataclass(frozen=True, kw_only=True)
class Draw(Step):
    """Rounds `first` to `round` of drawing: scores, then the mask they keep.

    Inputs: `weights` (a training), `mask`, `pretrained` (what the model starts from, if it is not initial values alone).

    Rounds with no training between them are one step. A method that needs batches is given the `objective` and, of
    limited data, the `subset` as well.
    """

    performed_by: ClassVar[str] = "ticketlab.run.steps.draw:perform"
    kind: ClassVar[str] = "draw"
    seed: int
    images: Images
    model: ModelChoice
    ticket: Drawn
    first: int
    round: int
    compute: Compute
    objective: Objective | None = None

    @property
    def taken(self) -> Compute:
        """The CPU where the method looks at weights alone: these are scored where they were read."""
        return self.compute if self.ticket.scores_need else self.compute.model_copy(update={"device": "cpu"})

    @property
    def title(self) -> str:
        """A few words for people."""
        return f"draw, round {self.round}" if self.first == self.round else f"draw, {self.round} rounds"


@dataclass(frozen=True, kw_only=True)
class Transfer(Step):
    """Reading the mask of a ticket's file for a model. Input: `pretrained`, what the model starts from, if it does."""

    performed_by: ClassVar[str] = "ticketlab.run.steps.transfer:perform"
    kind: ClassVar[str] = "transfer"
    seed: int
    images: Images
    model: ModelChoice
    ticket: Transferred

    @property
    def title(self) -> str:
        """A few words for people."""
        return "ticket of a file"


@dataclass(frozen=True, kw_only=True)
class Control(Step):
    """A mask that a ticket is compared with, in the ticket's structure. Input: `mask`."""

    performed_by: ClassVar[str] = "ticketlab.run.steps.control:perform"
    kind: ClassVar[str] = "control"
    seed: int
    control: ArmChoice
    structure: StructureChoice

    @property
    def title(self) -> str:
        """A few words for people."""
        return self.control.about


@dataclass(frozen=True, kw_only=True)
class Statistics(Step):
    """Mean and covariance of the real images' features, and up to `features` feature vectors. Input: `extractor` (a training), if it is trained."""

    performed_by: ClassVar[str] = "ticketlab.run.steps.statistics:perform"
    kind: ClassVar[str] = "statistics"
    images: Images
    split: Split
    extractor: Extractor
    features: int
    compute: Compute

    @property
    def title(self) -> str:
        """A few words for people."""
        return f"reference statistics of {self.images.dataset} ({self.split})"


@dataclass(frozen=True, kw_only=True)
class Prepared(Step):
    """What an objective makes once of the real images, by the function that its options name.

    Inputs: `subset` (absent: all images), and `extractor` (a training), if it looks through one that is trained.
    """

    performed_by: ClassVar[str] = "ticketlab.run.steps.prepared:perform"
    kind: ClassVar[str] = "prepared"
    images: Images
    function: str
    extractor: Extractor | None
    compute: Compute

    @property
    def title(self) -> str:
        """A few words for people."""
        return f"{self.function.rpartition(':')[2].replace('_', ' ')} of {self.images.dataset}"

    def _makers(self) -> list[str]:
        return sorted({*super()._makers(), self.function})
