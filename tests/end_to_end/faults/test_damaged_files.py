"""A file that was cut short or has a flipped bit is noticed, named, and made again; the results are the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ticketlab
from ticketlab.errors import DataError, Interrupted
from ticketlab.run.events import Event, Notice, StepStarted
from ticketlab.run.experiment import open_experiment, run
from ticketlab.run.journal import rows
from ticketlab.tracking.courier import reconcile
from ticketlab.tracking.outbox import Outbox

HARMS = ("flipped", pytest.param("truncated", marks=pytest.mark.long))
LONG = [pytest.param(name, marks=pytest.mark.long) for name in ("test.safetensors", "dataset.json")]


@pytest.fixture(autouse=True)
def _aside(torch_as_before: None, nobody_answers: None) -> None:
    """Runs in this process, with no tracking server."""


@pytest.fixture(params=HARMS)
def harm(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def again(lab: Any, **options: Any) -> tuple[list[Event], Any]:
    """The spec run in this process: what was told, and the outcome."""
    events: list[Event] = []
    outcome = ticketlab.run(lab.spec, listener=events.append, **options)
    return events, outcome


def notices(events: list[Event]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Notice))


def test_every_damaged_result_in_the_store_is_made_again(done: Any, undisturbed: Any, harm: Any) -> None:
    store = done.root / ".ticketlab" / "store"
    damaged = [
        next(store.glob(f"{kind}/*/{name}"))
        for kind, name in (
            ("subset", "step.json"),
            ("train", "weights.safetensors"),
            ("draw", "ticket.safetensors"),
            ("evaluate", "metrics.json"),
        )
        if (store / kind).is_dir()
    ]
    assert len(damaged) >= 3
    for path in damaged:
        harm(path)
    (done.root / "runs/small/metrics.json").unlink()
    events, outcome = again(done)
    assert outcome.failures == []
    for path in damaged:
        assert str(path) in notices(events)
    assert len([event for event in events if isinstance(event, StepStarted)]) == len(damaged)
    assert done.published() == undisturbed.published()
    assert done.entries() == undisturbed.entries()


MATCHING = """\
name: small
data: {dataset: specks, size: 32}
model: {kind: sngan, width: 4, critic_width: 4, latent: 4}
ticket: {method: magnitude, schedule: {rate: 0.5}, round_steps: 0}
arms: [ticket]
train: {objective: moment_matching, steps: 2, batch: 4, extractor: {kind: lab_classifier, steps: 2}}
evaluate: {samples: 20, metrics: [frechet], extractor: {kind: lab_classifier, steps: 1}}
compute: {device: cpu, threads: 1}
"""


@pytest.mark.long
def test_damaged_statistics_extractors_and_moments_are_made_again(lab: Any, harm: Any) -> None:
    lab.spec.write_text(MATCHING)
    events, outcome = again(lab)
    assert outcome.failures == []
    published, entries = lab.published(), lab.entries()
    store = lab.root / ".ticketlab" / "store"
    damaged = [
        max((path for path in result.iterdir() if path.name != "step.json"), key=lambda path: path.stat().st_size)
        for kind in ("statistics", "prepared", "train")
        for result in sorted((store / kind).iterdir())
    ]
    assert [path.parent.parent.name for path in damaged] == ["statistics", "prepared", *["train"] * 3]
    for path in damaged:
        harm(path)
    (lab.root / "runs/small/metrics.json").unlink()
    events, outcome = again(lab)
    assert outcome.failures == []
    for path in damaged:
        assert str(path) in notices(events)
    assert len([event for event in events if isinstance(event, StepStarted)]) == len(damaged)
    assert lab.published() == published
    assert lab.entries() == entries


def test_a_checkpoint_that_was_damaged_costs_time_and_nothing_else(lab: Any, undisturbed: Any, harm: Any) -> None:
    seen: list[Event] = []

    def stopping() -> bool:
        return any(isinstance(event, StepStarted) and event.title.startswith("train") for event in seen)

    with pytest.raises(Interrupted, match="stopped at step") as stopped:
        run(open_experiment(lab.spec), seen.append, stopping=stopping)
    assert "the same command goes on" in stopped.value.mend
    (checkpoint,) = (lab.root / ".ticketlab" / "work").rglob("checkpoint.safetensors")
    harm(checkpoint)
    _, outcome = again(lab)
    assert outcome.failures == []
    assert lab.published() == undisturbed.published()


@pytest.mark.parametrize("name", ["train.safetensors", *LONG])
def test_damaged_images_are_refused_by_name(lab: Any, harm: Any, name: str) -> None:
    path = lab.root / "data" / "specks" / name
    harm(path)
    try:
        _, outcome = again(lab)
    except DataError as refused:
        errors = [refused]
    else:
        errors = [failure.error for failure in outcome.failures]
        assert len(errors) == 2
    for error in errors:
        assert str(path.parent) in str(error) or "specks" in str(error)
        assert len(str(error).splitlines()) <= 3
    assert lab.entries() == []


@pytest.mark.long
def test_a_damaged_journal_hinders_nothing(done: Any, undisturbed: Any, harm: Any) -> None:
    for path in (done.root / ".ticketlab" / "journals").iterdir():
        harm(path)
    (done.root / "runs/small/metrics.json").unlink()
    _, outcome = again(done)
    assert outcome.failures == []
    for name, digest in undisturbed.published().items():
        if "curves" not in name:
            assert done.published()[name] == digest


def test_a_damaged_outbox_file_stops_no_other_and_is_written_again(done: Any, undisturbed: Any, harm: Any) -> None:
    outbox = Outbox.of(done.root)
    before = outbox.runs()
    dense = next(run for run in before if run.name == "dense")
    path = outbox.folder / f"{dense.key}.json"
    harm(path)
    delivery = reconcile(done.root)
    assert delivery.problem is not None
    assert str(path) in delivery.problem
    assert [run.key for run in outbox.readable()[0]] == [run.key for run in before if run != dense]
    events, outcome = again(done)
    assert outcome.failures == []
    assert not [event for event in events if isinstance(event, StepStarted)]
    assert [run.key for run in outbox.runs()] == [run.key for run in before]
    assert done.published() == undisturbed.published()
    assert done.entries() == undisturbed.entries()


def test_damaged_notes_are_written_again(done: Any, undisturbed: Any, harm: Any) -> None:
    for note in (done.root / ".ticketlab" / "records").glob("*.json"):
        harm(note)
    events, outcome = again(done)
    assert outcome.failures == []
    assert not [event for event in events if isinstance(event, StepStarted)]
    assert done.published() == undisturbed.published()
    assert done.entries() == undisturbed.entries()


@pytest.mark.long
def test_a_torn_row_at_the_end_of_a_journal_is_cut_off_when_a_run_goes_on(lab: Any, undisturbed: Any) -> None:
    count = 0

    def stopping() -> bool:
        nonlocal count
        count += 1
        return count > 4

    with pytest.raises(Interrupted):
        run(open_experiment(lab.spec), stopping=stopping)
    journals = sorted((lab.root / ".ticketlab" / "journals").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    latest = [path for path in journals if rows(path)][-1]
    with latest.open("ab") as handle:
        handle.write(b'{"t": 17, "step": 9')
    _, outcome = again(lab)
    assert outcome.failures == []
    assert lab.published() == undisturbed.published()


@pytest.mark.long
def test_a_published_file_that_was_damaged_is_found_by_verify(done: Any, harm: Any) -> None:
    path: Path = done.root / "runs/small/tickets/ticket/ticket.safetensors"
    harm(path)
    code, said = done.ticketlab("verify", "--quick", "0")
    assert code == 5, said
    assert "runs/small/tickets/ticket/ticket.safetensors is not the file that was recorded" in said
