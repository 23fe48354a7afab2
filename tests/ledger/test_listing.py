from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ticketlab.errors import LedgerError
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.facts import RunFacts, Verdict
from ticketlab.ledger.listing import EntrySummary, find, run_and_cell, run_named, summary
from ticketlab.ledger.statement import TEST_RESULT, facts, provenance, verification

ANOTHER_BUILDER: dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "pkg.tar.gz", "digest": {"sha512": "0" * 128}}],
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {"workflow": {"ref": "refs/heads/main", "path": ".github/workflows/release.yml"}},
        },
        "runDetails": {
            "builder": {"id": "https://github.com/actions/runner/github-hosted"},
            "metadata": {"invocationId": "b7e1c2"},
        },
    },
}


@pytest.fixture
def chain(tmp_path: Path, run_facts: RunFacts) -> Chain:
    """Two runs, a verification of the first, and a statement of a stranger."""
    chain = Chain(tmp_path / "ledger.jsonl")
    chain.append(provenance(run_facts))
    chain.append(provenance(replace(run_facts, run="second", density=None, main_metric=None)))
    chain.append(verification(Verdict("b7e1c2", "1" * 64, run_facts.subjects, run_facts.finished, warned=("mask",))))
    chain.append({"predicateType": "https://example.org/else"})
    return chain


def test_an_entry_in_short(chain: Chain, run_facts: RunFacts) -> None:
    first, second, third, fourth = chain.entries()
    assert summary(first) == EntrySummary(
        index=0,
        kind="run",
        digest=first.digest[:12],
        at=run_facts.finished,
        run="b7e1c2",
        cell="quickstart-seed0",
        arm="ticket",
        density=0.1074,
        metric=("accuracy", 0.875),
    )
    assert (summary(second).density, summary(second).metric) == (None, None)
    assert (summary(third).kind, summary(third).run, summary(third).result) == ("verification", "b7e1c2", "WARNED")
    assert summary(fourth) == EntrySummary(3, "other", fourth.digest[:12])


def test_an_entry_is_found_by_index_run_and_digest(chain: Chain) -> None:
    for entry in chain.entries():
        assert find(chain, str(entry.index)) == entry
        assert find(chain, entry.digest) == entry
        assert find(chain, entry.digest[:8]) == entry
    assert find(chain, "b7e1c2").index == 0
    assert find(chain, "second").index == 1


@pytest.mark.parametrize("text", ["9", "-1", "00", "third", "", "abc", "0" * 64, "b7e1"])
def test_what_is_not_there_is_an_error_that_tells_how_to_look(chain: Chain, text: str) -> None:
    with pytest.raises(LedgerError, match="no entry") as caught:
        find(chain, text)
    assert "ledger list" in caught.value.mend


def test_a_run_recorded_twice_is_ambiguous(chain: Chain, run_facts: RunFacts) -> None:
    chain.append(provenance(replace(run_facts, device="cuda")))
    with pytest.raises(LedgerError, match=r"ambiguous: entries 0 \(\w{12}\), 4 "):
        find(chain, "b7e1c2")


def test_a_run_whose_id_looks_like_a_digest_is_meant_first(chain: Chain, run_facts: RunFacts) -> None:
    digest = next(chain.entries()).digest
    added = chain.append(provenance(replace(run_facts, run=digest[:8])))
    assert find(chain, digest[:8]) == added


def test_what_another_builder_stated_is_listed_and_stops_nobody(chain: Chain) -> None:
    added = chain.append(ANOTHER_BUILDER)
    assert summary(added) == EntrySummary(4, "other", added.digest[:12])
    assert run_named(added.statement) is None
    assert find(chain, "b7e1c2").index == 0
    assert find(chain, "4") == added
    with pytest.raises(LedgerError, match="build type is 'https://actions"):
        facts(added.statement)
    theirs = {**ANOTHER_BUILDER, "predicateType": TEST_RESULT, "predicate": {"result": "PASSED", "configuration": []}}
    assert summary(chain.append(theirs)).kind == "other"


def test_a_run_that_this_version_cannot_read_is_listed_with_its_names(chain: Chain, run_facts: RunFacts) -> None:
    older = provenance(replace(run_facts, run="older"))
    del older["predicate"]["buildDefinition"]["internalParameters"]["surroundings"]
    added = chain.append(older)
    assert summary(added) == EntrySummary(4, "other", added.digest[:12], run="older", cell="quickstart-seed0")
    assert run_and_cell(older) == ("older", "quickstart-seed0")
    assert find(chain, "older") == added


def test_names_that_a_terminal_would_obey_are_not_shown(chain: Chain, run_facts: RunFacts) -> None:
    odd = provenance(run_facts)
    odd["predicate"]["buildDefinition"]["externalParameters"]["cell"] = "a\x1b[2Jb"
    added = chain.append(odd)
    assert summary(added) == EntrySummary(4, "other", added.digest[:12])


@pytest.mark.parametrize("name", [["a"], "\ud800", "a\x1b[2Jb", None])
def test_a_verification_of_what_has_no_name_is_listed(chain: Chain, run_facts: RunFacts, name: object) -> None:
    odd = verification(Verdict("b7e1c2", "1" * 64, run_facts.subjects, run_facts.finished, warned=("mask",)))
    odd["predicate"]["configuration"][0]["name"] = name
    added = chain.append(odd)
    assert summary(added) == EntrySummary(4, "other", added.digest[:12])


@pytest.mark.parametrize("predicate", [None, [], {}, {"buildDefinition": 1}, {"buildDefinition": {"buildType": {}}}])
def test_provenance_of_any_shape_is_listed(chain: Chain, predicate: object) -> None:
    added = chain.append({**ANOTHER_BUILDER, "predicate": predicate})
    assert summary(added).kind == "other"
    assert run_and_cell(added.statement) is None
