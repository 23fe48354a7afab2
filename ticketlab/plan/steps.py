"""The kinds of step a plan is made of: what each asks, what it reads, which code does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.plan.sources import source_digest
from ticketlab.spec.compute import Compute
from ticketlab.spec.evaluate import Extractor, Measure
from ticketlab.spec.model import ModelChoice
from ticketlab.spec.section import Choice
from ticketlab.spec.ticket import Drawn
from ticketlab.spec.train import Objective

SplitName = Literal["train", "test"]

STEP_FORMAT = 1
"""Version of what steps write; raised when the layout of a step's outputs changes."""


@dataclass(frozen=True)
class Images:
    """The images a step works on, as the network sees them."""

    dataset: str
    digest: str
    channels: int
    classes: int
    size: int
    fit: Literal["resize", "pad"]
    scaling: Literal["symmetric", "standard", "unit"]


@dataclass(frozen=True)
class Measurement:
    """What is measured on a trained network: metric names, samples, k of the neighbour metrics, real split, extractor."""

    metrics: tuple[Measure, ...]
    samples: int
    neighbours: int
    split: SplitName
    extractor: Extractor | None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One unit of work. Two steps with equal digests ask the same of the same code and share one result."""

    performed_by: ClassVar[str]
    kind: ClassVar[str]
    inputs: Mapping[str, Step] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """A few words for people; not part of the digest."""
        return self.kind

    def asks(self) -> dict[str, Any]:
        """The values this step depends on, as JSON."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self) if item.name != "inputs"}

    def sources(self) -> tuple[str, ...]:
        """Modules that do the work: the performer's and those of every choice among the asked values."""
        modules = {self.performed_by}
        for item in fields(self):
            modules.update(_made_by(getattr(self, item.name)))
        return tuple(sorted(name.partition(":")[0] for name in modules if name))

    @cached_property
    def digest(self) -> str:
        """sha256 of kind, asked values, inputs' digests and source."""
        return sha256_bytes(
            canonical_json(
                {
                    "format": STEP_FORMAT,
                    "kind": self.kind,
                    "asks": self.asks(),
                    "inputs": {role: step.digest for role, step in self.inputs.items()},
                    "source": source_digest(self.sources()),
                }
            )
        )

    def lineage(self) -> Iterator[Step]:
        """The step after all that it needs, each digest once."""
        seen: set[str] = set()
        yield from _ordered(self, seen)


def _ordered(step: Step, seen: set[str]) -> Iterator[Step]:
    if step.digest in seen:
        return
    for needed in step.inputs.values():
        yield from _ordered(needed, seen)
    seen.add(step.digest)
    yield step


def _plain(value: Any) -> Any:
    if isinstance(value, Compute):
        return value.model_dump(mode="json", exclude={"checkpoint_seconds", "log_every"})
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Images | Measurement):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value


def _made_by(value: Any) -> Iterator[str]:
    if isinstance(value, Choice):
        yield value.made_by
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _made_by(getattr(value, name))
    elif isinstance(value, Measurement):
        yield from _made_by(value.extractor)
    elif isinstance(value, tuple):
        for part in value:
            yield from _made_by(part)


@dataclass(frozen=True, kw_only=True)
class Subset(Step):
    """Choosing the training images of a limited-data run. Writes their indices."""

    performed_by: ClassVar[str] = "ticketlab.run.steps.subset:perform"
    kind: ClassVar[str] = "subset"
    dataset: str
    dataset_digest: str
    count: int
    rule: str
    seed: int

    @property
    def title(self) -> str:
        """A few words for people."""
        return f"subset of {self.count} images"


@dataclass(frozen=True, kw_only=True)
class Train(Step):
    """A training from given weights under a mask.

    Inputs: `subset` (absent: all images), `mask` (absent: dense), `start` (absent: initial weights), and
    `statistics` and `extractor` where a generative curve is asked for. Writes weights, the moving average, buffers.
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
    watch: Measurement | None = None
    watch_every: int | None = None
    label: str = field(default="train", compare=False)

    def asks(self) -> dict[str, Any]:
        """The values this training depends on; its label is for people."""
        asked = super().asks()
        del asked["label"]
        return asked

    @property
    def title(self) -> str:
        """A few words for people."""
        return self.label


@dataclass(frozen=True, kw_only=True)
class Draw(Step):
    """One round of drawing: scores, then the mask they keep. Inputs: `weights` (a training), `mask` (last round's)."""

    performed_by: ClassVar[str] = "ticketlab.run.steps.draw:perform"
    kind: ClassVar[str] = "draw"
    seed: int
    images: Images
    model: ModelChoice
    ticket: Drawn
    round: int
    initial: str = "init"

    @property
    def title(self) -> str:
        """A few words for people."""
        return f"draw, round {self.round}"


@dataclass(frozen=True, kw_only=True)
class Control(Step):
    """A mask that a ticket is compared with. Input: `mask`."""

    performed_by: ClassVar[str] = "ticketlab.run.steps.control:perform"
    kind: ClassVar[str] = "control"
    seed: int
    control: str

    @property
    def title(self) -> str:
        """A few words for people."""
        return f"{self.control} mask of the same layer densities"


@dataclass(frozen=True, kw_only=True)
class Statistics(Step):
    """Mean and covariance of the real images' features, and up to `features` feature vectors. Input: `extractor` (a training), if it is trained."""

    performed_by: ClassVar[str] = "ticketlab.run.steps.statistics:perform"
    kind: ClassVar[str] = "statistics"
    images: Images
    split: SplitName
    extractor: Extractor
    features: int
    compute: Compute

    @property
    def title(self) -> str:
        """A few words for people."""
        return f"reference statistics of {self.images.dataset} ({self.split})"


@dataclass(frozen=True, kw_only=True)
class Evaluate(Step):
    """What a network scores `after` so many training steps. Inputs: `weights`, and for GANs `statistics` and (if trained) `extractor`."""

    performed_by: ClassVar[str] = "ticketlab.run.steps.evaluate:perform"
    kind: ClassVar[str] = "evaluate"
    seed: int
    images: Images
    model: ModelChoice
    measurement: Measurement
    after: int
    compute: Compute

    @property
    def title(self) -> str:
        """A few words for people."""
        return "evaluate " + ", ".join(self.measurement.metrics)
