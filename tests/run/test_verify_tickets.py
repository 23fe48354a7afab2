"""A ticket that came out otherwise is told with the share of its bits that did not; what code may excuse that."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

import ticketlab
from ticketlab.files import sha256_file
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.entry import Entry
from ticketlab.ledger.facts import RunFacts
from ticketlab.ledger.statement import facts, provenance, verdict
from ticketlab.plan.sources import source_digest
from ticketlab.run.compared import Compared
from ticketlab.run.project import Project
from ticketlab.run.verify import verify
from ticketlab.tickets.file import read, write
from ticketlab.tickets.mask import Mask

Recorded = Callable[[Callable[[RunFacts], RunFacts]], Entry]


@pytest.fixture
def recorded(run_specks: Path) -> Recorded:
    """Records a run as if another processor had found a ticket of which one bit is another; more may be made other."""
    chain = Chain(run_specks / "ledger.jsonl")
    run = facts(next(chain.entries()).statement)

    def make(also: Callable[[RunFacts], RunFacts]) -> Entry:
        (ticket,) = [one for one in run.subjects if one.name == "ticket.safetensors"]
        assert ticket.path is not None
        path = run_specks / ticket.path
        mask, about, buffers = read(path)
        layers = dict(mask)
        layers[next(iter(layers))].view(-1)[0] ^= True
        write(path, Mask(layers), about, buffers)
        other = replace(ticket, sha256=sha256_file(path))
        there = replace(
            run,
            subjects=tuple(other if one is ticket else one for one in run.subjects),
            machine={**run.machine, "cpu": "Another"},
        )
        return chain.append(provenance(also(there)))

    return make


def ticket_of(found: list[Compared]) -> Compared:
    return next(one for one in found if one.name == "result ticket.safetensors")


def test_the_share_of_bits_that_agree_is_told(run_specks: Path, recorded: Recorded) -> None:
    entry = recorded(lambda run: run)
    size = read(run_specks / "runs" / "small" / "tickets" / "ticket" / "ticket.safetensors")[0].size
    found = verify(entry, Project(run_specks))
    ticket = ticket_of(list(found.steps))
    assert (ticket.finding, ticket.mask_agreement) == ("WITHIN BAND", (size - 1) / size)
    layer = next(iter(read(run_specks / "runs" / "small" / "tickets" / "ticket" / "ticket.safetensors")[0]))
    assert ticket.where == f"ticket.safetensors: tensor {layer}"
    assert found.first == ticket
    assert json.loads(json.dumps(asdict(ticket)))["mask_agreement"] == (size - 1) / size
    *_, stated = Chain(run_specks / "ledger.jsonl").entries()
    assert verdict(stated.statement).warned == (ticket.said,)
    assert f"{100 * (size - 1) / size:.2f}"[:4] in ticket.said
    assert "% of mask bits agree" in ticket.said
    assert all(one.mask_agreement is None for one in (*found.files, *found.steps) if one is not ticket)


def test_a_share_is_never_rounded_to_all() -> None:
    assert "99.9999 %" in Compared("result t", "DIFFERS", mask_agreement=1 - 1e-9).said


def test_without_the_recorded_ticket_no_share_is_told(run_specks: Path, recorded: Recorded) -> None:
    entry = recorded(lambda run: run)
    (run_specks / "runs" / "small" / "tickets" / "ticket" / "ticket.safetensors").unlink()
    assert ticket_of(list(verify(entry, Project(run_specks)).steps)).mask_agreement is None


@pytest.mark.parametrize(("other", "finding"), [(("sources",), "WITHIN BAND"), (("sources", "meaning"), "DIFFERS")])
def test_other_comments_excuse_other_bits_and_other_code_does_not(
    run_specks: Path, recorded: Recorded, other: tuple[str, ...], finding: str
) -> None:
    entry = recorded(lambda run: replace(run, code=replace(run.code, **dict.fromkeys(other, "0" * 64))))
    assert verify(entry, Project(run_specks)).finding == finding


def test_the_meaning_is_that_of_all_that_the_steps_rest_on(run_specks: Path) -> None:
    experiment = ticketlab.plan(run_specks / "specs" / "small.yaml")
    ticketlab.run(experiment)
    modules = {module for _, step in experiment.plan.steps() for module in step.sources()}
    (entry,) = Chain(run_specks / "ledger.jsonl").entries()
    assert facts(entry.statement).code.meaning == source_digest(tuple(modules))
