"""What verifying did and found is said in full: on the screen, as JSON and in the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ticketlab.cli.main import app
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger import capture
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.facts import Code, RunFacts, Verdict
from ticketlab.ledger.statement import facts, provenance, verdict
from ticketlab.run.project import Project
from ticketlab.run.verify import verify

Command = Callable[..., Result]


@pytest.fixture
def command(run_specks: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A command in the project, in which one run was recorded."""
    monkeypatch.chdir(run_specks)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def recorded(root: Path) -> RunFacts:
    return facts(next(Chain(root / "ledger.jsonl").entries()).statement)


def last(root: Path) -> Verdict:
    *_, entry = Chain(root / "ledger.jsonl").entries()
    return verdict(entry.statement)


def test_what_differs_is_told_of_an_identical_run_and_stated_with_code_and_surroundings(
    run_specks: Path, command: Command
) -> None:
    run, now = recorded(run_specks), capture.determinism()["torch"]
    then = with_torch(run, "0.1")
    steps = [replace(step, name=f"{number}. {step.name[3:]}") for number, step in enumerate(then.steps, 2)]
    extra = replace(steps[0], name="1. one that is not done any more")
    Chain(run_specks / "ledger.jsonl").append(provenance(replace(then, steps=(extra, *steps))))
    said = command("verify", "1").stdout
    assert f"why: environment: torch: '0.1' then, {now!r} now" in said
    assert said.splitlines()[-2:] == ["  DIFFERS", "  first: 1. one that is not done any more  [only then]"]
    assert said.count("DIFFERS") == 2, "the steps after it are compared with themselves"
    Chain(run_specks / "ledger.jsonl").append(provenance(replace(then, code=with_another_file(run, run_specks))))
    again = command("verify", "3")
    assert again.exit_code == 0
    assert f"though: environment: torch: '0.1' then, {now!r} now" in again.stdout
    assert f"though: code: {EDITED}: '{'0' * 64}' then" in again.stdout
    assert again.stdout.endswith("  IDENTICAL\n")
    found = last(run_specks)
    assert (found.result, found.mode, found.code) == ("PASSED", "redone", run.code)
    assert found.surroundings is not None
    assert found.surroundings.determinism == capture.determinism()
    assert {"kind": "environment", "path": "torch", "then": "0.1", "now": now} in found.causes


def test_numbers_that_were_never_found_are_not_identical(run_specks: Path, command: Command) -> None:
    run, chain = recorded(run_specks), Chain(run_specks / "ledger.jsonl")
    forgeries: dict[str, dict[str, Any]] = {
        "metrics.accuracy 0.994 then": {"metrics": {**run.metrics, "accuracy": 0.994}},
        "density 0.05 then": {"density": 0.05},
        "collapsed.classifier.c1.weight 1 then": {"collapsed": {"classifier.c1.weight": 1}},
        "main metric None then": {"main_metric": None},
    }
    for said, forged in forgeries.items():
        entry = chain.append(provenance(replace(run, **forged)))
        found = command("verify", str(entry.index))
        assert found.exit_code == 5
        assert f"first: what is stated  [{said}" in found.stdout
        assert last(run_specks).failed == ("what is stated",)


def test_no_part_of_a_statement_that_its_work_contradicts_is_identical(run_specks: Path, command: Command) -> None:
    run, chain = recorded(run_specks), Chain(run_specks / "ledger.jsonl")
    *earlier, step = run.steps
    role = sorted(step.inputs)[0]
    forgeries: dict[str, dict[str, Any]] = {
        f"result {run.subjects[0].name}  [only now]": {"subjects": run.subjects[1:]},
        f"{step.name}  [what was asked, by its digest]": {"steps": (*earlier, replace(step, identity="0" * 64))},
        f"{step.name}  [what it read, by its digest]": {
            "steps": (*earlier, replace(step, inputs={**step.inputs, role: "0" * 64}))
        },
        f"{run.steps[-2].name}  [what it read, by its digest]": {
            "steps": (*earlier[:-1], replace(earlier[-1], inputs={}), step)
        },
        "what it is called  [small/random is not the arm ticket]": {"cell": "small/random"},
        "what it is called  [other/ticket is no run of small]": {"cell": "other/ticket"},
        f"what it is called  [{run.subjects[0].path} is no file of small/seed-1/ticket]": {
            "cell": "small/seed-1/ticket"
        },
    }
    for said, forged in forgeries.items():
        entry = chain.append(provenance(replace(run, **forged)))
        found = command("verify", str(entry.index))
        assert found.exit_code == 5
        assert f"first: {said}" in found.stdout
        assert last(run_specks).failed == (said.split("  ")[0],)


def test_a_meaning_that_this_code_has_not_is_told(run_specks: Path, command: Command) -> None:
    run, chain = recorded(run_specks), Chain(run_specks / "ledger.jsonl")
    for meaning, then in (("0" * 64, repr("0" * 64)), (None, "None")):
        entry = chain.append(provenance(replace(run, code=replace(run.code, meaning=meaning))))
        assert (
            f"though: code: meaning: {then} then, {run.code.meaning!r} now"
            in command("verify", str(entry.index)).stdout
        )


def test_a_statement_without_the_file_of_the_spec_is_verified(run_specks: Path, command: Command) -> None:
    entry = Chain(run_specks / "ledger.jsonl").append(provenance(replace(recorded(run_specks), spec_file=None)))
    assert command("verify", str(entry.index)).exit_code == 0


def test_a_recorded_path_that_no_disk_can_have_is_refused_in_a_line(run_specks: Path, command: Command) -> None:
    run = recorded(run_specks)
    subjects = (replace(run.subjects[0], path="a" * 5000), *run.subjects[1:])
    entry = Chain(run_specks / "ledger.jsonl").append(provenance(replace(run, subjects=subjects)))
    found = command("verify", "--quick", str(entry.index))
    assert found.exit_code == 5
    assert "a recorded file cannot be looked at" in found.stderr


@pytest.mark.parametrize("odd", ["\x1b[2J", "\ud800", "\u202e"])
def test_names_that_a_terminal_would_obey_are_shown_as_escapes(run_specks: Path, command: Command, odd: str) -> None:
    run, chain = recorded(run_specks), Chain(run_specks / "ledger.jsonl")
    entry = chain.append(provenance(replace(run, machine={**run.machine, odd: 1})))
    for shown in (command("verify", str(entry.index)), command("ledger", "diff", "0", str(entry.index))):
        assert shown.exit_code == 0
        assert odd.encode("unicode_escape").decode() in shown.stdout
        assert odd not in shown.stdout


def test_where_the_ledger_cannot_be_written_what_was_found_is_still_said(run_specks: Path) -> None:
    ledger = run_specks / "ledger.jsonl"
    entry = next(Chain(ledger).entries())
    ledger.rename(run_specks / "elsewhere")
    ledger.mkdir()
    found = verify(entry, Project(run_specks), quick=True)
    assert (found.finding, found.problem) == ("IDENTICAL", "")
    assert str(ledger) in found.unstated


def test_a_changed_byte_of_the_dataset_is_seen_without_doing_anything_again(run_specks: Path, command: Command) -> None:
    (split, *_) = [one for one in recorded(run_specks).splits if one.path]
    assert command("verify", "0", "--quick").exit_code == 0
    place = run_specks / str(split.path)
    content = bytearray(place.read_bytes())
    content[-1] ^= 1
    place.write_bytes(content)
    found = command("verify", "0", "--quick")
    assert found.exit_code == 5
    assert f"first: file {split.name}" in found.stdout


def test_a_last_line_that_was_never_finished_stops_no_verification(run_specks: Path, command: Command) -> None:
    ledger = run_specks / "ledger.jsonl"
    with ledger.open("ab") as handle:
        handle.write(ledger.read_bytes()[:100])
    assert command("verify", "0", "--quick").exit_code == 0
    assert Chain(ledger).check().sound


def test_what_no_run_was_ever_asked_is_refused_in_a_line(run_specks: Path, command: Command) -> None:
    run, chain = recorded(run_specks), Chain(run_specks / "ledger.jsonl")
    for threads in (10**9, "x"):
        entry = chain.append(provenance(replace(run, determinism={**run.determinism, "threads": threads})))
        found = command("verify", str(entry.index))
        assert found.exit_code == 5
        assert "a number of threads that no run can have" in found.stderr
    entry = chain.append(provenance(replace(run, spec={**run.spec, "arms": 5})))
    assert command("verify", str(entry.index)).exit_code == 0, "the arm is the one that the statement names"
    others = [*run.spec["arms"], {"kind": "dense"}]
    entry = chain.append(provenance(replace(run, spec={**run.spec, "arms": others})))
    assert "though" not in command("verify", str(entry.index)).stdout, "the other arms of a spec are none of its causes"


EDITED = "ticketlab/tickets/mask.py"


def with_another_file(run: RunFacts, root: Path) -> Code:
    """The code of a run as if one file had had other comments."""
    blobs = root / ".ticketlab" / "blobs"
    listed = json.loads((blobs / run.code.sources).read_bytes()) | {EDITED: "0" * 64}
    content = canonical_json(listed)
    (blobs / sha256_bytes(content)).write_bytes(content)
    return replace(run.code, sources=sha256_bytes(content))


def with_torch(run: RunFacts, version: str) -> RunFacts:
    """A run as if another torch had done it."""
    steps = [
        replace(
            step,
            surroundings=replace(step.surroundings, determinism={**step.surroundings.determinism, "torch": version}),
        )
        for step in run.steps
    ]
    return replace(run, determinism={**run.determinism, "torch": version}, steps=tuple(steps))


def test_a_look_at_the_files_is_no_proof_and_is_not_listed_as_one(run_specks: Path, command: Command) -> None:
    assert command("verify", "--quick", "0").exit_code == 0
    found = last(run_specks)
    assert (found.result, found.mode, found.code, found.surroundings) == ("PASSED", "files", None, None)
    (row,) = [line for line in command("ledger", "list").stdout.splitlines() if "verification" in line]
    assert row.endswith("PASSED, of files only")


def test_work_that_cannot_be_done_again_is_a_check_that_failed(run_specks: Path, command: Command) -> None:
    path = run_specks / "data" / "specks" / "train.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    (run_specks / "runs" / "small" / "ticket" / "metrics.json").write_text('{"accuracy": 2.0}')
    said = command("verify", "--json", "0")
    assert said.exit_code == 5
    shown = json.loads(said.stdout)
    assert "train.safetensors" in shown["problem"]
    assert "train.safetensors" in said.stderr
    found = last(run_specks)
    assert (found.result, found.mode) == ("FAILED", "redone")
    assert found.failed == ("file metrics.json", "file specks/train.safetensors", "done again: DataError")
    assert "file ticket.safetensors" in found.passed
    accuracy = recorded(run_specks).metrics["accuracy"]
    (metrics,) = [one for one in shown["files"] if one["name"] == "file metrics.json"]
    assert metrics["where"].endswith(f"recorded: accuracy {accuracy!r} then, 2.0 now")
    (row,) = [line for line in command("ledger", "list").stdout.splitlines() if "verification" in line]
    assert row.endswith("FAILED, done again")


def test_of_results_that_differ_the_metric_is_named_with_both_values(run_specks: Path, command: Command) -> None:
    run = recorded(run_specks)
    subjects = tuple(replace(one, sha256="0" * 64) if one.name == "metrics.json" else one for one in run.subjects)
    Chain(run_specks / "ledger.jsonl").append(
        provenance(replace(run, subjects=subjects, metrics={**run.metrics, "accuracy": 2.0}))
    )
    said = command("verify", "1").stdout
    told = f"metrics.json: accuracy 2.0 then, {run.metrics['accuracy']!r} now"
    assert f"DIFFERS      result metrics.json  [{told}]" in said
