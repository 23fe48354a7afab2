"""Executing steps one after another: what is finished is not done again, what was interrupted goes on."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ticketlab.errors import CorruptFile, Interrupted, StepFailed, TicketlabError
from ticketlab.files import read_sealed, write_atomically, write_sealed
from ticketlab.ledger import capture
from ticketlab.made import made
from ticketlab.plan.sources import edited_since_loaded
from ticketlab.plan.steps import Step, Train
from ticketlab.run.device import arrange
from ticketlab.run.events import LayerCollapse, Listener, Notice, Progress, StepFinished, StepStarted
from ticketlab.run.journal import Journal
from ticketlab.run.not_written import remedy
from ticketlab.run.store import Result, Store
from ticketlab.run.workplace import Workplace

BEGUN_ON = "inputs.json"
"""Beside unfinished work: the content of each input that it was begun on."""


@dataclass(frozen=True)
class Executor:
    """Performs steps in this process, one at a time."""

    home: Callable[[str], Path]
    store: Store
    listener: Listener
    stopping: Callable[[], bool]
    followers: Callable[[Step], Sequence[Step]] = lambda step: ()
    """The measurements that may look at a training's snapshots while it goes on."""

    def ensure(self, step: Step, cell: str, position: int = 1, total: int = 1) -> Result:
        """The result of a step whose inputs are finished, performing it if need be.

        A finished step with a damaged file is thrown away, with a notice, and done again; so is one that was made
        from another result of an input than is there now. Another process that does the same step is waited for.
        Raises `Interrupted` when asked to stop meanwhile, and `StepFailed` when a file cannot be read or written.
        """
        try:
            return self._ensured(step, cell, position, total)
        except OSError as failure:
            raise self._failed(step, failure) from failure

    def _ensured(self, step: Step, cell: str, position: int, total: int) -> Result:
        with self.store.working(step, self._wait) as work:
            if self.store.holds(step):
                try:
                    return self.store.result(step)
                except CorruptFile as damage:
                    self.listener(Notice(f"{damage.where}: {damage.what}; the step `{step.title}` is done again"))
                    self.store.discard(step)
                    work.mkdir(parents=True, exist_ok=True)
            length = step.objective.steps if isinstance(step, Train) else None
            self.listener(StepStarted(step.title, cell, position, total, length))
            started = time.monotonic()
            result = self._perform(step, work, cell)
            self.listener(StepFinished(step.title, cell, time.monotonic() - started))
            return result

    def _wait(self, first: bool) -> None:
        if first:
            self.listener(Notice("another run is doing this step; waiting for it"))
        if self.stopping():
            raise Interrupted("stopped while waiting for another run", mend="the same command goes on from here")

    def _perform(self, step: Step, work: Path, cell: str) -> Result:
        edited = edited_since_loaded(step.sources())
        if edited:
            raise StepFailed(
                f"code of `{step.title}` was edited after this process had loaded it: {', '.join(edited[:3])}",
                mend="start again: the same command, or a fresh Python",
            )
        # Before any tensor is touched: threads that exist already would keep their own treatment of denormal numbers.
        device = arrange(step.taken)
        inputs = {role: self.store.result(needed) for role, needed in step.inputs.items()}
        contents = {role: found.content for role, found in inputs.items()}
        self._begin(step, work, contents)
        folders = {role: found.folder for role, found in inputs.items()}
        with self._at_work(step, work, folders, self.stopping, cell) as (place, journal):
            made(step.performed_by)(step, place)
            journal.cut()
        if step.digest_now() != step.digest:
            raise StepFailed(
                f"the code of `{step.title}` was edited while it ran, so its result belongs to no code",
                mend="run the same command again",
            )
        return self.store.finish(step, work / "out", _surroundings(device.torch.type), contents)

    def _begin(self, step: Step, work: Path, contents: Mapping[str, str]) -> None:
        """Throw away, with a notice, work that was begun on other contents of the inputs than these.

        A training that a curve looks ahead at is not among them: a curve ties each measurement to its snapshot itself.
        """
        settled = {role: content for role, content in contents.items() if (step.kind, role) != ("curve", "weights")}
        note = work / BEGUN_ON
        begun_on: object = None
        if note.exists():
            with suppress(ValueError):
                begun_on = read_sealed(note)
        if begun_on != settled:
            if note.exists():
                self.listener(Notice(f"an input of `{step.title}` came out otherwise; what was begun starts over"))
            shutil.rmtree(work)
            work.mkdir()
            write_sealed(note, settled)

    @contextmanager
    def _at_work(
        self, step: Step, work: Path, inputs: Mapping[str, Path], stopping: Callable[[], bool], cell: str = ""
    ) -> Iterator[tuple[Workplace, Journal]]:
        """A step's place, and the journal of its rows; what goes wrong in it is the step's failure."""
        out = work / "out"
        out.mkdir(exist_ok=True)
        journal = Journal(self.store.journal(step))

        def log(number: int, metrics: Mapping[str, float]) -> None:
            journal(number, metrics)
            self.listener(Progress(number, metrics))

        def collapsed(round: int, layers: Sequence[str]) -> None:
            self.listener(LayerCollapse(round, tuple(layers), cell))

        def snapshot(_: int) -> None:
            for follower in self.followers(step):
                self._look_ahead(follower, out)

        try:
            yield (
                Workplace(
                    self.home, inputs, work, out, log, stopping, journal.resume, journal.sync, snapshot, collapsed
                ),
                journal,
            )
        except TicketlabError:
            raise
        except Exception as failure:
            raise self._failed(step, failure) from failure
        finally:
            journal.close()

    def _look_ahead(self, step: Step, training: Path) -> None:
        """Measure what a training has left so far, for people who watch; what goes wrong shows when its turn comes."""
        try:
            with self.store.working(step, _give_up) as work:
                if not self.store.has(step):
                    others = {
                        role: self.store.result(needed) for role, needed in step.inputs.items() if role != "weights"
                    }
                    inputs = {"weights": training, **{role: result.folder for role, result in others.items()}}
                    self._begin(step, work, {role: result.content for role, result in others.items()})
                    with self._at_work(step, work, inputs, lambda: False) as (place, _):
                        made(step.performed_by)(step, place)
        except (TicketlabError, OSError):
            return

    def _failed(self, step: Step, failure: Exception) -> StepFailed:
        """The failure as one line for the user, with the whole story in a file."""
        story = self.store.root / "failures" / f"{step.digest}.txt"
        lines = str(failure).strip().splitlines() or [type(failure).__name__]
        mend = f"the whole story is in {story}"
        try:
            write_atomically(story, "".join(traceback.format_exception(failure)).encode())
        except OSError:
            mend = f"nothing can be written to {self.store.root}"
        if remedy(failure):
            mend = f"{remedy(failure)}; the same command goes on from here"
        return StepFailed(f"`{step.title}` failed: {lines[0]}", where=type(failure).__name__, mend=mend)


def _give_up(first: bool) -> None:
    raise Interrupted("another process measures it")


def _surroundings(device: str) -> dict[str, Any]:
    """What a step ran on, for the ledger: a step taken from the store keeps the surroundings it was made in."""
    return {
        "device": device,
        "determinism": capture.determinism(),
        "machine": capture.machine(device),
        "packages": capture.packages(),
    }
