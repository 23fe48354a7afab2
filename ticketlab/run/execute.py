"""Executing steps one after another: what is finished is not done again, what was interrupted goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ticketlab.errors import CorruptFile
from ticketlab.plan.steps import Step, Train
from ticketlab.run.events import Listener, Notice, Progress, StepFinished, StepStarted
from ticketlab.run.journal import Journal
from ticketlab.run.store import Result, Store
from ticketlab.run.workplace import Workplace


@dataclass(frozen=True)
class Executor:
    """Performs steps in this process, one at a time."""

    home: Callable[[str], Path]
    store: Store
    listener: Listener
    stopping: Callable[[], bool]

    def ensure(self, step: Step, cell: str, position: int = 1, total: int = 1) -> Result:
        """The result of a step whose inputs are finished, performing it if need be.

        A finished step with a damaged file is thrown away, with a notice, and done again.
        """
        with self.store.working(step) as work:
            if self.store.has(step):
                try:
                    return self.store.result(step)
                except CorruptFile as damage:
                    self.listener(Notice(f"{damage.where}: {damage.what}; the step `{step.title}` is done again"))
                    self.store.discard(step)
                    work.mkdir(parents=True, exist_ok=True)
            length = step.objective.steps if isinstance(step, Train) else None
            self.listener(StepStarted(step.title, cell, position, total, length))
            started = time.monotonic()
            result = self._perform(step, work)
            self.listener(StepFinished(step.title, cell, time.monotonic() - started))
            return result

    def _perform(self, step: Step, work: Path) -> Result:
        out = work / "out"
        out.mkdir(exist_ok=True)
        journal = Journal(self.store.journal(step))

        def log(number: int, metrics: Mapping[str, float]) -> None:
            journal(number, metrics)
            self.listener(Progress(number, metrics))

        inputs = {role: self.store.result(needed).folder for role, needed in step.inputs.items()}
        try:
            _performer(step)(step, Workplace(self.home, inputs, work, out, log, self.stopping))
        finally:
            journal.close()
        return self.store.finish(step, out)


def _performer(step: Step) -> Callable[[Step, Workplace], None]:
    module, _, name = step.performed_by.partition(":")
    performer: Callable[[Step, Workplace], None] = getattr(import_module(module), name)
    return performer
