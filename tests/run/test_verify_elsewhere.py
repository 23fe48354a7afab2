"""Work that is done again on a machine that is another one names what is other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import ticketlab
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.diff import Difference
from ticketlab.ledger.statement import facts
from ticketlab.run.project import Project
from ticketlab.run.verify import verify


def test_fewer_threads_are_the_cause_that_is_named(specks: Path, on_one_core: Callable[[], None]) -> None:
    cores = len(os.sched_getaffinity(0))
    assert not ticketlab.run(specks / "specs" / "small.yaml").failures
    (entry,) = Chain(specks / "ledger.jsonl").entries()
    recorded = facts(entry.statement)
    assert recorded.spec["compute"]["threads"] is None
    assert recorded.determinism["threads"] == cores
    on_one_core()
    found = verify(entry, Project(specks))
    assert Difference("environment", "threads", cores, 1) in found.causes
    assert Difference("machine", "cores", cores, 1) in found.causes
    assert {one.path for one in found.causes} <= {"threads", "interop_threads", "cores"}
    assert found.finding != "DIFFERS", "other threads are other arithmetic, so other bits are within the band"
