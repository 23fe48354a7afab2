"""Who gets the arms of an experiment done: this process, step after step; crews of other machines stand beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ticketlab.errors import Interrupted, TicketlabError

if TYPE_CHECKING:
    from ticketlab.plan.experiment import ArmAddress
    from ticketlab.run.events import Listener
    from ticketlab.run.experiment import Experiment


class Crew(Protocol):
    """Whoever performs steps. A crew sees the whole plan when it is engaged, so it may begin any step of it at once."""

    def arm(self, address: ArmAddress) -> None:
        """Return when every step of an arm is in the store; arms are asked for in the plan's order.

        Raises `Interrupted` when the run is asked to stop, else the error of the step that failed.
        """
        ...


Engage = Callable[["Experiment", "Listener", Callable[[], bool]], Crew]
"""From an experiment, a listener to its events and the wish to stop, to a crew."""


class Alone:
    """The process itself performs the steps, one after another, counting those that were not in the store when it began."""

    def __init__(self, experiment: Experiment, listener: Listener, stopping: Callable[[], bool]) -> None:
        from ticketlab.run.execute import Executor

        self._executor = Executor(experiment.project.home, experiment.store, listener, stopping)
        pending = experiment.pending()
        self._total = len(pending)
        self._position = {step.digest: number for number, (_, step) in enumerate(pending, 1)}
        self._failed: dict[str, TicketlabError] = {}

    def arm(self, address: ArmAddress) -> None:
        """Every step of an arm; one that failed for an earlier arm is not tried again."""
        for step in address.plan.steps():
            if step.digest in self._failed:
                raise self._failed[step.digest]
            try:
                self._executor.ensure(step, address.name, self._position.get(step.digest, 0), self._total)
            except Interrupted:
                raise
            except TicketlabError as error:
                self._failed[step.digest] = error
                raise
