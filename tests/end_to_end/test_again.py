"""A finished experiment is not done again; done afresh, or elsewhere, it gives the same bits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ticketlab
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.listing import summary
from ticketlab.ledger.statement import facts
from ticketlab.run.events import Event, Notice, StepStarted

pytestmark = pytest.mark.usefixtures("torch_as_before")


def test_the_same_command_again_has_nothing_to_do(finished: Any) -> None:
    before = (finished.root / "ledger.jsonl").read_bytes()
    answer = finished.place.ticketlab("run", "specs/tiny.yaml", "specs/tiny-gan.yaml")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines == [f"specs/{name}.yaml: nothing to do; results in runs/{name}" for name in ("tiny", "tiny-gan")]
    assert (finished.root / "ledger.jsonl").read_bytes() == before


def test_a_plan_shows_that_every_step_is_there(finished: Any) -> None:
    answer = finished.place.ticketlab("plan", "specs/tiny.yaml")
    assert answer.code == 0, answer.err
    steps = [line for line in answer.out.splitlines() if line.startswith("  ") and "cached" in line]
    assert len(steps) == 23
    assert "to do" not in answer.out
    assert "estimated time: 0 s" in answer.out


def test_afresh_the_same_bits_are_found_and_a_run_of_its_own_is_recorded(
    copied: Any, digests: Callable[[Path], dict[str, str]], nobody_answers: None
) -> None:
    folder = copied.root / "runs" / "tiny"
    before = digests(folder)
    events: list[Event] = []
    outcome = ticketlab.run(ticketlab.plan(copied.root / "specs" / "tiny.yaml"), fresh=True, listener=events.append)
    assert outcome.failures == []
    assert len([event for event in events if isinstance(event, StepStarted)]) == 23
    assert digests(folder) == before
    chain = Chain(copied.root / "ledger.jsonl")
    assert chain.check().sound
    entries = [summary(entry) for entry in chain.entries()]
    assert len(entries) == 6 + 5
    assert len({entry.run for entry in entries}) == 11
    assert any(isinstance(event, Notice) and "MLflow" in event.text for event in events)


def test_an_arm_that_the_spec_has_no_more_is_gone_and_the_others_stay(
    copied: Any, digests: Callable[[Path], dict[str, str]], nobody_answers: None
) -> None:
    spec, folder = copied.root / "specs" / "tiny.yaml", copied.root / "runs" / "tiny"
    before = digests(folder)
    spec.write_text(
        spec.read_text().replace("arms: [ticket, dense, random, shuffled, fresh_weights]", "arms: [ticket]")
    )
    assert ticketlab.run(ticketlab.plan(spec)).failures == []
    left = digests(folder)
    assert {name for name in before if name.startswith(("ticket/", "tickets/ticket/"))} <= left.keys()
    assert not [name for name in left if "random" in name or "dense" in name]
    assert list(json.loads((folder / "metrics.json").read_text())) == ["ticket"]


def test_a_run_that_fails_leaves_the_last_results_alone_and_says_why(
    copied: Any, digests: Callable[[Path], dict[str, str]], nobody_answers: None
) -> None:
    folder, store = copied.root / "runs" / "tiny", copied.root / ".ticketlab" / "store"
    before = digests(folder)
    shutil.rmtree(store)
    store.write_text("in the way")
    failures = ticketlab.run(ticketlab.plan(copied.root / "specs" / "tiny.yaml")).failures
    assert [failure.name for failure in failures] == ["ticket", "dense", "random", "shuffled", "fresh_weights"]
    assert all("store" in str(failure.error) for failure in failures), failures
    assert digests(folder) == before


def test_in_another_folder_without_git_and_dvc_the_same_bits_are_found(
    finished: Any, plain: Any, digests: Callable[[Path], dict[str, str]], nobody_answers: None
) -> None:
    shutil.copytree(finished.root / "specs", plain.root / "specs")
    events: list[Event] = []
    outcome = ticketlab.run(plain.root / "specs" / "tiny-gan.yaml", listener=events.append)
    assert outcome.failures == []
    assert digests(plain.root / "runs" / "tiny-gan") == digests(finished.root / "runs" / "tiny-gan")
    assert any(isinstance(event, Notice) and "not a DVC repository" in event.text for event in events)
    assert Chain(plain.root / "ledger.jsonl").check().sound


def test_published_files_that_were_lost_are_put_back_without_work(
    copied: Any, digests: Callable[[Path], dict[str, str]], nobody_answers: None
) -> None:
    folder = copied.root / "runs" / "tiny"
    before = digests(folder)
    for name in ("tickets/dense/weights.safetensors", "tickets/ticket/ticket.safetensors", "random/metrics.json"):
        (folder / name).unlink()
    events: list[Event] = []
    ticketlab.run(copied.root / "specs" / "tiny.yaml", listener=events.append)
    assert digests(folder) == before
    assert not [event for event in events if isinstance(event, StepStarted)]


def test_a_damaged_result_in_the_store_is_noticed_and_made_again(
    copied: Any, digests: Callable[[Path], dict[str, str]], nobody_answers: None
) -> None:
    folder = copied.root / "runs" / "tiny"
    before = digests(folder)
    content = bytearray((folder / "tickets" / "dense" / "weights.safetensors").read_bytes())
    trainings = (copied.root / ".ticketlab" / "store" / "train").rglob("weights.safetensors")
    weights = next(path for path in trainings if path.read_bytes() == content)
    content[-1] ^= 1
    weights.write_bytes(content)
    (folder / "metrics.json").unlink()
    events: list[Event] = []
    ticketlab.run(copied.root / "specs" / "tiny.yaml", listener=events.append)
    assert [event.text for event in events if isinstance(event, Notice) and "done again" in event.text]
    assert len([event for event in events if isinstance(event, StepStarted)]) == 1
    assert digests(folder) == before


def test_the_same_work_under_another_name_is_recorded_under_it(copied: Any) -> None:
    text = (copied.root / "specs" / "tiny.yaml").read_text()
    copied.place.spec("other", text.replace("name: tiny\n", "name: other\n"))
    answer = copied.place.ticketlab("run", "specs/other.yaml")
    assert (answer.code, answer.err) == (0, "")
    cells = [facts(entry.statement).cell for entry in Chain(copied.root / "ledger.jsonl").entries()]
    assert {cell.partition("/")[2] for cell in cells if cell.startswith("other/")} == {
        cell.partition("/")[2] for cell in cells if cell.startswith("tiny/")
    }
    assert (copied.root / "runs" / "other" / "ticket" / "statement.json").is_file()
    assert copied.place.ticketlab("verify", "--quick", "specs/other.yaml").code == 0
    assert "nothing to do" in copied.place.ticketlab("run", "specs/other.yaml").out
