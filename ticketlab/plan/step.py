"""One unit of work: what it asks, what it reads, which code does it, and the digest of all that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar, Literal

from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.plan.decided import decided
from ticketlab.plan.sources import releases, source_digest
from ticketlab.spec.compute import Compute
from ticketlab.spec.evaluate import Extractor
from ticketlab.spec.labelling import Classes, LabelKind
from ticketlab.spec.metric import MetricChoice
from ticketlab.spec.section import Choice, Section
from ticketlab.spec.task import Scaling, Split

STEP_FORMAT = 1
"""Version of what steps write; raised when the layout of a step's outputs changes."""


HELD = "ticketlab.datasets.held:opened"
"""What opens a dataset that is packed."""


@dataclass(frozen=True)
class Images:
    """The images a step works on, as the network sees them; the function named in `opened_by` opens the dataset.

    `chosen` are the classes whose images these are, by their numbers in the dataset and in the order of their labels here;
    empty for all. `classes` is how many there are.
    """

    dataset: str
    digest: str
    channels: int
    classes: int
    size: int
    fit: Literal["resize", "pad"]
    scaling: Scaling
    labels: LabelKind = field(default_factory=Classes)
    opened_by: str = HELD
    chosen: tuple[int, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """What is measured on a trained network: metrics, number of samples, real split, extractor.

    `made_by` names the function that makes the measurer; samples are 0 and the extractor None where none are used.
    """

    made_by: str
    metrics: tuple[MetricChoice, ...]
    samples: int
    split: Split
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

    @property
    def taken(self) -> Compute:
        """On what the work is done: what the step asks for as `compute`, or one thread of the CPU where it asks nothing."""
        asked = getattr(self, "compute", None)
        return asked if isinstance(asked, Compute) else Compute(device="cpu", threads=1)

    def asks(self) -> dict[str, Any]:
        """The values this step depends on, as JSON."""
        asked = {item.name: _plain(getattr(self, item.name)) for item in fields(self) if item.name != "inputs"}
        return {
            **asked,
            "made_by": self._makers(),
            "decided": [found for one in self.sections() if (found := decided(one))],
        }

    def sources(self) -> tuple[str, ...]:
        """Modules that do the work: the performer's and those of every choice among the asked values."""
        return tuple(sorted({name.partition(":")[0] for name in self._makers()}))

    def _makers(self) -> list[str]:
        """The functions ("module:name") that do the work."""
        found = {self.performed_by}
        for item in fields(self):
            found.update(_made_by(getattr(self, item.name)))
        return sorted(name for name in found if name)

    def sections(self) -> Iterator[Section]:
        """Every choice and section among the asked values."""
        for item in fields(self):
            yield from _sections_in(getattr(self, item.name))

    @cached_property
    def digest(self) -> str:
        """sha256 of kind, asked values, inputs' digests, source, and the releases of the packages that do its sums."""
        for step in _inputs_first(self):
            if step is not self:
                # Computed and kept from the first step on, so that a long chain is never a deep recursion.
                _ = step.digest
        return self.digest_now()

    def digest_now(self) -> str:
        """The digest with the source as it is on disk at this moment."""
        return digest_of(self.counting())

    def counting(self) -> dict[str, Any]:
        """All that the digest is of, as JSON, with the source as it is on disk at this moment."""
        return {
            "format": STEP_FORMAT,
            "kind": self.kind,
            "asks": self.asks(),
            "inputs": {role: step.digest for role, step in self.inputs.items()},
            "source": source_digest(self.sources()),
            "releases": releases(self.sources()),
        }

    def lineage(self) -> Iterator[Step]:
        """The step after all that it needs, each digest once."""
        seen: set[str] = set()
        for step in _inputs_first(self):
            if step.digest not in seen:
                seen.add(step.digest)
                yield step


def digest_of(counting: Mapping[str, Any]) -> str:
    """The digest of a step of which that counts."""
    return sha256_bytes(canonical_json(counting))


def _inputs_first(last: Step) -> list[Step]:
    """A step after all that it needs, each object once; without recursion, since chains have a link per round."""
    order: list[Step] = []
    seen: set[int] = set()
    waiting: list[tuple[Step, bool]] = [(last, False)]
    while waiting:
        step, ready = waiting.pop()
        if ready:
            order.append(step)
        elif id(step) not in seen:
            seen.add(id(step))
            waiting.append((step, True))
            waiting.extend((needed, False) for needed in reversed(tuple(step.inputs.values())))
    return order


def _plain(value: Any) -> Any:
    if isinstance(value, Compute):
        return _arithmetic(value)
    if isinstance(value, Section):
        return value.counting()
    if isinstance(value, Images | Measurement):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value


def _arithmetic(compute: Compute) -> dict[str, Any]:
    """What may change the last bits. A spec that names a GPU says that CPU threads do not do its sums, so they do not count.

    They do with `auto`: which device that is, is known where the step is performed, not where it is planned. They were
    counted when the run was planned, so whoever performs the step finds the digest that its planner gave it.
    """
    counting = compute.counting()
    if compute.device in ("cuda", "mps"):
        del counting["threads"]
    else:
        assert compute.threads is not None, "the threads were not counted when the step was planned"
    return counting


def _made_by(value: Any) -> Iterator[str]:
    yield from (section.made_by for section in _sections_in(value) if isinstance(section, Choice))
    if isinstance(value, Measurement):
        yield value.made_by
    if isinstance(value, Images):
        yield value.opened_by


def _sections_in(value: Any) -> Iterator[Section]:
    """Every section within an asked value, itself included."""
    if isinstance(value, Section):
        yield value
        for name in type(value).model_fields:
            yield from _sections_in(getattr(value, name))
    elif isinstance(value, Images):
        yield value.labels
    elif isinstance(value, Measurement):
        yield from _sections_in(value.metrics)
        yield from _sections_in(value.extractor)
    elif isinstance(value, tuple):
        for part in value:
            yield from _sections_in(part)
