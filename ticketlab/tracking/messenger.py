"""Bringing one run to MLflow: find or create it, describe it, send its rows and files, close it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ticketlab.errors import TrackingError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.tracking.artifacts import artifact_location, send_artifacts
from ticketlab.tracking.cursor import Cursor, Cursors
from ticketlab.tracking.journal import MAX_BATCH, Row, batches
from ticketlab.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from ticketlab.tracking.outbox import TrackedRun

KEY_TAG = "ticketlab.key"
MAX_VALUE = 6000
"""Characters of a parameter or tag value that MLflow keeps; beyond that it would cut without saying so."""

_MAX_NAMES = 100


class Home(NamedTuple):
    """An experiment in MLflow: its id, and an identity that another database at the same address does not share."""

    id: str
    identity: str


class Messenger:
    """Carries runs to one MLflow store; errors of MLflow pass through, the cursors say how far it came."""

    def __init__(self, client: MlflowClient, store: Store, project: Path, cursors: Cursors) -> None:
        self.client = client
        self.store = store
        self.project = project
        self.cursors = cursors
        self._homes: dict[str, Home] = {}
        self._run_ids: dict[str, str] = {}

    def bring(self, run: TrackedRun) -> Iterator[int]:
        """Bring everything of the run that MLflow has not; yields the number of rows after each accepted batch.

        Parents must have been brought before. A run that was deleted in MLflow stays deleted.
        """
        home = self._home(run.experiment)
        cursor = self.cursors.get(run.key)
        if cursor.experiment != home.identity:
            cursor = Cursor(experiment=home.identity)
        if not cursor.run_id:
            cursor.run_id = self._find(run, home) or self._create(run, home)
            self.cursors.put(run.key, cursor)
        self._run_ids[run.key] = cursor.run_id
        if _closing(run, cursor) != cursor.closed or run.status == "RUNNING":
            cursor.removed = self.client.get_run(cursor.run_id).info.lifecycle_stage == "deleted"
            self.cursors.put(run.key, cursor)
        if cursor.removed:
            return
        self._describe(run, cursor)
        yield from self._send_rows(run, cursor)
        self._describe(run, cursor)
        before = dict(cursor.artifacts)
        send_artifacts(self.client, self.store, self.project, cursor.run_id, run.artifacts, cursor.artifacts)
        if cursor.artifacts != before:
            self.cursors.put(run.key, cursor)
        self._close(run, cursor)

    def _home(self, experiment: str) -> Home:
        if experiment not in self._homes:
            found = self.client.get_experiment_by_name(experiment)
            if found is None:
                created = self.client.create_experiment(experiment, artifact_location(experiment, self.store))
                found = self.client.get_experiment(created)
            if found.lifecycle_stage != "active":
                mend = f"mlflow experiments restore --experiment-id {found.experiment_id}"
                raise TrackingError(f"experiment {experiment!r} was deleted", where=self.store.name, mend=mend)
            self._homes[experiment] = Home(found.experiment_id, f"{found.experiment_id}@{found.creation_time}")
        return self._homes[experiment]

    def _find(self, run: TrackedRun, home: Home) -> str | None:
        """The run if an earlier pass was killed between creating and remembering it."""
        from mlflow.entities import ViewType

        found = self.client.search_runs([home.id], f"tags.`{KEY_TAG}` = '{run.key}'", ViewType.ALL, max_results=1)
        return str(found[0].info.run_id) if found else None

    def _create(self, run: TrackedRun, home: Home) -> str:
        created = self.client.create_run(home.id, run.started, {KEY_TAG: run.key, **self._kinship(run)}, run.name)
        return str(created.info.run_id)

    def _kinship(self, run: TrackedRun) -> dict[str, str]:
        parent = self._run_ids.get(run.parent or "")
        return {"mlflow.parentRunId": parent} if parent else {}

    def _describe(self, run: TrackedRun, cursor: Cursor) -> None:
        """Send name, parameters and tags, if they are not the ones that were sent."""
        from mlflow.entities import Param, RunTag

        tags = run.tags | self._kinship(run) | _faults(cursor)
        digest = sha256_bytes(canonical_json([run.name, run.params, tags]))
        if digest == cursor.described:
            return
        self.client.update_run(cursor.run_id, name=run.name)
        for some in _chunks(run.params):
            self.client.log_batch(cursor.run_id, params=[Param(name, shortened(value)) for name, value in some])
        for some in _chunks(tags):
            self.client.log_batch(cursor.run_id, tags=[RunTag(name, shortened(value)) for name, value in some])
        cursor.described = digest
        self.cursors.put(run.key, cursor)

    def _send_rows(self, run: TrackedRun, cursor: Cursor) -> Iterator[int]:
        for journal in run.journals:
            for rows, mark in batches(self.project / journal.path, journal, cursor.mark(journal)):
                for start in range(0, len(rows), MAX_BATCH):
                    self._send(cursor.run_id, rows[start : start + MAX_BATCH])
                # Only now: a kill before this line sends the same rows with the same times again, which MLflow drops.
                cursor.set_mark(journal, mark)
                self.cursors.put(run.key, cursor)
                yield len(rows)

    def _send(self, run_id: str, rows: list[Row]) -> None:
        from mlflow.entities import Metric

        self.client.log_batch(run_id, metrics=[Metric(row.name, row.value, row.t, row.step) for row in rows])

    def _close(self, run: TrackedRun, cursor: Cursor) -> None:
        """Send the status, and with a last one the end time."""
        closing = _closing(run, cursor)
        if closing == cursor.closed:
            return
        if run.status == "RUNNING":
            self.client.update_run(cursor.run_id, status=run.status)
        else:
            self.client.set_terminated(cursor.run_id, run.status, _ended(run, cursor))
        cursor.closed = closing
        self.cursors.put(run.key, cursor)


def shortened(value: str) -> str:
    """The value if MLflow keeps it whole; otherwise its beginning, its length and its sha256, and it says so."""
    if len(value) <= MAX_VALUE:
        return value
    note = f"... [shortened: {len(value)} characters, sha256 {sha256_bytes(value.encode())}]"
    return value[: MAX_VALUE - len(note)] + note


def _faults(cursor: Cursor) -> dict[str, str]:
    """Tags that say what could not be sent as a metric."""
    not_finite, unreadable = cursor.not_finite(), cursor.unreadable()
    values = ", ".join(f"{name}: {count}" for name, count in sorted(not_finite.items()))
    tags = {"ticketlab.not_finite": values, "ticketlab.unreadable_rows": "; ".join(unreadable)}
    return {name: value for name, value in tags.items() if value}


def _closing(run: TrackedRun, cursor: Cursor) -> str:
    return f"{run.status} {_ended(run, cursor) if run.status != 'RUNNING' else None}"


def _ended(run: TrackedRun, cursor: Cursor) -> int | None:
    """When the run ended; for a killed one, which cannot say, the time of its last row."""
    return run.ended or max((mark.latest for mark in cursor.marks.values()), default=0) or None


def _chunks(items: Mapping[str, str]) -> Iterator[list[tuple[str, str]]]:
    pairs = sorted(items.items())
    return (pairs[start : start + _MAX_NAMES] for start in range(0, len(pairs), _MAX_NAMES))
