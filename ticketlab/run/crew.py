"""Who gets the steps of a plan done: this process, one after another; crews of other processes and machines beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Protocol, cast

from ticketlab.errors import EnvironmentProblem, Interrupted, TicketlabError
from ticketlab.run.events import guarded
from ticketlab.spec.wording import closest

if TYPE_CHECKING:
    from ticketlab.plan.experiment import ArmAddress, Plan
    from ticketlab.plan.steps import Step
    from ticketlab.run.events import Listener
    from ticketlab.run.project import Project
    from ticketlab.run.store import Store

GROUP = "ticketlab.crews"
"""Entry points by which packages add crews; each names an `Engage`."""


@dataclass(frozen=True)
class Job:
    """What a crew is engaged for: the plan, the project with its data, the store that results belong in.

    Whatever happens is told to `listener`; `stopping` says whether the run was asked to stop.
    """

    plan: Plan
    project: Project
    store: Store
    listener: Listener
    stopping: Callable[[], bool]


class Crew(Protocol):
    """Whoever performs steps. A crew sees the whole plan when it is engaged, so it may begin any step of it at once.

    A member elsewhere does not plan the spec anew, with its own cores: it is sent an `Order` (ticketlab/run/order.py).
    """

    def arm(self, address: ArmAddress) -> None:
        """Return when every step of an arm is in the store; arms are asked for in the plan's order.

        Raises `Interrupted` when the run is asked to stop, else the error of the step that failed.
        """
        ...

    def step(self, step: Step, address: ArmAddress) -> None:
        """Return when a step of an arm, and every step it needs, is in the store. Raises as `arm` does."""
        ...


Engage = Callable[[Job], Crew]
"""From a job to the crew that does it."""


class Alone:
    """The process itself performs the steps, one after another, counting those that were not in the store when it began."""

    def __init__(self, job: Job) -> None:
        from ticketlab.run.execute import Executor

        listener = guarded(job.listener)
        self._executor = Executor(job.project.home, job.store, listener, job.stopping, _curves(job.plan))
        pending = [step for _, step in job.plan.steps() if not job.store.has(step)]
        self._total = len(pending)
        self._position = {step.digest: number for number, step in enumerate(pending, 1)}
        self._failed: dict[str, TicketlabError] = {}

    def arm(self, address: ArmAddress) -> None:
        """Every step of an arm; one that failed for an earlier arm is not tried again."""
        for step in address.plan.steps():
            self._ensure(step, address)

    def step(self, step: Step, address: ArmAddress) -> None:
        """A step after those it needs."""
        for needed in step.lineage():
            self._ensure(needed, address)

    def _ensure(self, step: Step, address: ArmAddress) -> None:
        if step.digest in self._failed:
            raise self._failed[step.digest]
        try:
            self._executor.ensure(step, address.name, self._position.get(step.digest, 0), self._total)
        except Interrupted:
            raise
        except TicketlabError as error:
            self._failed[step.digest] = error
            raise


def _curves(plan: Plan) -> Callable[[Step], Sequence[Step]]:
    """From a training to the measurements of its snapshots that a plan has."""
    found: dict[str, list[Step]] = {}
    for _, step in plan.steps():
        if step.kind == "curve":
            found.setdefault(step.inputs["weights"].digest, []).append(step)
    return lambda training: found.get(training.digest, ())


ALONE = "alone"


def crew_named(name: str) -> Engage:
    """The crew that is called `name`: `alone`, or one that an installed package registers.

    EnvironmentProblem, with the names there are, if there is none or more than one, or if it cannot be imported.
    """
    registered = entry_points(group=GROUP)
    names = [ALONE, *sorted({point.name for point in registered} - {ALONE})]
    found = [point for point in registered if point.name == name]
    if name == ALONE and not found:
        return Alone
    if not found:
        near = closest(name, names)
        raise EnvironmentProblem(
            f"there is no crew `{name}`; there are {', '.join(names)}",
            where="--crew",
            mend=f"did you mean `{near}`?" if near else f"install the package that registers it under {GROUP}",
        )
    if len(found) > 1 or (name == ALONE and found[0].value != f"{__name__}:{Alone.__name__}"):
        raise EnvironmentProblem(f"two crews are registered under the name `{name}`", where="--crew", mend="remove one")
    return _loaded(found[0])


def _loaded(point: EntryPoint) -> Engage:
    try:
        return cast("Engage", point.load())
    except Exception as problem:  # it runs code of others, which may raise anything
        raise EnvironmentProblem(
            f"the crew `{point.name}` cannot be imported: {type(problem).__name__}: {problem}",
            where=point.value,
            mend="install or repair the package that registers it, or name another crew",
        ) from problem
