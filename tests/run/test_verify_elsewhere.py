"""Work that is done again on a machine that is another one names what is other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import ticketlab
from ticketlab.files import read_sealed, write_sealed
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.diff import Difference
from ticketlab.ledger.statement import facts
from ticketlab.run.project import Project
from ticketlab.run.verify import verify


def test_where_there_are_fewer_cores_as_many_threads_give_the_same_bits(
    specks: Path, on_one_core: Callable[[], None]
) -> None:
    cores = len(os.sched_getaffinity(0))
    assert not ticketlab.run(specks / "specs" / "small.yaml").failures
    (entry,) = Chain(specks / "ledger.jsonl").entries()
    recorded = facts(entry.statement)
    assert recorded.spec["compute"]["threads"] is None
    assert recorded.determinism["threads"] == cores
    on_one_core()
    found = verify(entry, Project(specks))
    assert Difference("machine", "cores", cores, 1) in found.causes
    assert {one.path for one in found.causes} <= {"interop_threads", "cores"}
    assert found.finding == "IDENTICAL"


def test_a_step_from_the_store_of_another_machine_is_stated_with_that_machine(specks: Path) -> None:
    experiment = ticketlab.plan(specks / "specs" / "small.yaml")
    ticketlab.run(experiment)
    draw = next(step for _, step in experiment.plan.steps() if step.kind == "draw")
    record = experiment.store.folder(draw) / "step.json"
    noted = read_sealed(record)
    here = noted["surroundings"]["machine"]["cpu"]
    noted["surroundings"]["machine"]["cpu"] = "Another"
    noted["surroundings"]["packages"]["somewhat"] = "1.0"
    write_sealed(record, noted)
    (specks / "ledger.jsonl").unlink()
    (specks / ".ticketlab" / "ledger.jsonl.head").unlink()
    shutil.rmtree(specks / "runs")
    shutil.rmtree(specks / ".ticketlab" / "records")
    ticketlab.run(specks / "specs" / "small.yaml")
    (entry,) = Chain(specks / "ledger.jsonl").entries()
    recorded = facts(entry.statement)
    assert recorded.machine["cpu"] == here
    by_kind = {step.name.partition(" ")[2]: step.surroundings for step in recorded.steps}
    assert [name for name, one in by_kind.items() if one.machine["cpu"] == "Another"] == [draw.title]
    assert len({one.packages for one in by_kind.values()}) == 2
    found = verify(entry, Project(specks))
    name = next(step.name for step in recorded.steps if draw.title in step.name)
    assert {one.path for one in found.causes} == {f"steps.{name}.cpu", f"steps.{name}.packages"}
    assert found.finding == "IDENTICAL"
