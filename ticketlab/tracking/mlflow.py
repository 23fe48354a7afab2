"""Bringing MLflow up to date with the outbox: as often as one likes, after whatever crash, each row exactly once."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from ticketlab.errors import TicketlabError, TrackingError
from ticketlab.tracking.cursor import Cursors, Delivery, pending_rows
from ticketlab.tracking.messenger import Messenger
from ticketlab.tracking.outbox import Outbox, TrackedRun
from ticketlab.tracking.reach import why_unreachable
from ticketlab.tracking.store import Store, client_of, store_of

_REFUSALS = {
    "BAD_REQUEST",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "MALFORMED_REQUEST",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
}
"""MLflow's error codes that concern one run; after any other (nobody answers, database locked) the pass stops."""


def deliver(outbox: Outbox, project: Path, uri: str | None = None, *, patience: float = 60) -> Delivery:
    """One pass: whatever the outbox holds and MLflow (at `uri`, or see `store_of`) has not, MLflow gets.

    Never raises for MLflow's sake: a problem is told in the Delivery and the rows wait for the next pass. At most one
    delivery per outbox works at a time; the others wait up to `patience` seconds for their turn.
    """
    store = store_of(project, uri)
    cursors = Cursors(outbox, store.name)
    delivered, problem = 0, None
    try:
        outbox.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(outbox.folder / ".delivering", timeout=patience):
            delivered, problem = _deliver(outbox, project, store, cursors)
        return Delivery(delivered, pending_rows(outbox, project, cursors), problem)
    except Timeout:
        return Delivery(0, pending_rows(outbox, project, cursors), "another process is delivering")
    except TicketlabError as failure:
        return Delivery(delivered, 0, str(failure))
    except OSError as failure:
        return Delivery(delivered, 0, f"the outbox {outbox.folder} cannot be used: {_first_line(failure)}")


def _deliver(outbox: Outbox, project: Path, store: Store, cursors: Cursors) -> tuple[int, str | None]:
    """The pass itself: rows delivered, and the first problem."""
    readable, damaged = outbox.readable()
    runs, problems = _parents_first(readable), [str(damage) for damage in damaged]
    if not runs:
        return 0, problems[0] if problems else None
    if reason := why_unreachable(store.uri):
        problems.append(f"MLflow at {store.name} does not answer: {reason}")
        return 0, problems[0]
    try:
        from alembic.util import CommandError
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as failure:
        return 0, f"MLflow is not installed: {failure}"
    delivered = 0
    try:
        messenger = Messenger(client_of(project, store), store, project, cursors)
        for run in runs:
            try:
                for accepted in messenger.bring(run):
                    delivered += accepted
            except TrackingError as failure:
                problems.append(str(failure))
            except MlflowException as failure:
                if failure.error_code not in _REFUSALS:
                    raise
                if failure.error_code == "RESOURCE_DOES_NOT_EXIST":
                    cursors.forget(run.key)
                problems.append(f"MLflow refused run {run.name!r}: {_first_line(failure)}")
    except (MlflowException, SQLAlchemyError, CommandError, OSError) as failure:
        problems.append(f"MLflow at {store.name} does not answer: {_first_line(failure)}")
    return delivered, problems[0] if problems else None


def _parents_first(runs: list[TrackedRun]) -> list[TrackedRun]:
    """The runs by their depth, then as they started; a parent that is not in the outbox counts for nothing."""
    by_key = {run.key: run for run in runs}

    def depth(run: TrackedRun) -> int:
        ancestors: set[str] = set()
        parent = run.parent
        while parent in by_key and parent not in ancestors:
            ancestors.add(parent)
            parent = by_key[parent].parent
        return len(ancestors)

    return sorted(runs, key=lambda run: (depth(run), run.started or 0, run.key))


def _first_line(failure: Exception) -> str:
    return (str(failure).splitlines() or [type(failure).__name__])[0][:300]
