"""What a real project states has the form that in-toto, SLSA and RO-Crate publish, and their own reader takes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ticketlab.ledger.chain import Chain

SCHEMAS = Path(__file__).parents[1] / "ledger" / "schemas"
PREDICATES = {
    "https://slsa.dev/provenance/v1": "slsa-provenance-v1.json",
    "https://in-toto.io/attestation/test-result/v0.1": "test-result-v0.1.json",
}


def faults(statement: dict[str, Any]) -> list[str]:
    """Where a statement, or its predicate, is not as published."""
    files = {"statement-v1.json": statement, PREDICATES[statement["predicateType"]]: statement["predicate"]}
    return [
        f"{error.json_path}: {error.message}"
        for file, value in files.items()
        for error in Draft202012Validator(json.loads((SCHEMAS / file).read_bytes())).iter_errors(value)
    ]


def test_every_statement_of_a_project_has_its_published_form(copied: Any) -> None:
    assert copied.place.ticketlab("verify", "--quick", "all").code == 0
    statements = [dict(entry.statement) for entry in Chain(copied.root / "ledger.jsonl").entries()]
    assert [faults(statement) for statement in statements] == [[]] * 12
    assert [statement["predicateType"] for statement in statements] == [kind for kind in PREDICATES for _ in range(6)]


def test_an_exported_bundle_has_the_published_form_line_by_line(copied: Any, tmp_path: Path) -> None:
    bundle = tmp_path / "all.intoto.jsonl"
    assert copied.place.ticketlab("ledger", "export", str(bundle)).code == 0
    statements = [json.loads(line) for line in bundle.read_bytes().splitlines()]
    assert [faults(statement) for statement in statements] == [[]] * 6


@pytest.mark.parametrize("entry", ["0", "5"])
def test_an_exported_crate_is_read_by_the_reader_of_ro_crates(copied: Any, tmp_path: Path, entry: str) -> None:
    model = pytest.importorskip("rocrate.rocrate")
    folder = tmp_path / "crate"
    answer = copied.place.ticketlab("ledger", "export", str(folder), "--format", "ro-crate", "--entry", entry)
    assert answer.code == 0, answer.err
    crate = model.ROCrate(folder)
    # RO-Crate 1.1, "Direct properties of the Root Data Entity": these are required.
    assert all(crate.root_dataset[name] for name in ("name", "description", "datePublished", "license"))
    assert crate.mainEntity.id == "spec.json"
    assert "ComputationalWorkflow" in crate.mainEntity.type
    (action,) = [one for one in crate.contextual_entities if one.type == "CreateAction"]
    assert action["instrument"] is crate.mainEntity
    assert {one.id for one in action["result"]} >= {one.id for one in crate.data_entities if "results/" in one.id}
    assert {one.id for one in crate.data_entities} >= {"spec.json", "statement.json"}
    for one in crate.data_entities:
        assert (folder / one.id).is_file(), one.id
