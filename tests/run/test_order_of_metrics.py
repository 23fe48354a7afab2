"""The order in which metrics are asked for is that of files and tables, and the first is the ledger's main metric."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import ticketlab
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.statement import facts


@pytest.mark.parametrize("asked", [["loss", "accuracy"], ["accuracy", "loss"]])
def test_metrics_are_told_in_the_order_asked(specks: Path, asked: list[str]) -> None:
    outcome = ticketlab.run(ticketlab.plan(specks / "specs" / "small.yaml", [f"evaluate.metrics=[{', '.join(asked)}]"]))
    assert not outcome.failures
    assert list(json.loads((outcome.folder / "ticket" / "metrics.json").read_bytes())) == asked
    assert list(json.loads((outcome.folder / "metrics.json").read_bytes())["ticket"]) == ["density", *asked]
    assert f"| arm | density | {' | '.join(asked)} |" in (outcome.folder / "results.md").read_text()
    (entry,) = Chain(specks / "ledger.jsonl").entries()
    assert facts(entry.statement).main_metric == asked[0]
