"""What every objective of `train` has: its length, its batches, how its rates move, and what is done to images on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from ticketlab.spec.augment import Augmentation
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.rate_schedule import Constant, RateSchedule
from ticketlab.spec.section import SMOKE_STEPS, Choice
from ticketlab.spec.task import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ticketlab.spec.evaluate import ExtractorChoice
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

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
        """At most two steps on small batches."""
        return self.model_copy(update=self._tiny())

    def _tiny(self) -> dict[str, Any]:
        return {
            "steps": min(self.steps, SMOKE_STEPS),
            "warmup": min(self.warmup, 1),
            "batch": min(self.batch, SMOKE_BATCH),
        }
