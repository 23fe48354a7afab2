from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ticketlab.errors import LedgerError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger.diff import Difference, difference
from ticketlab.ledger.facts import Artifact, Code, RunFacts, Verdict
from ticketlab.ledger.statement import provenance, verification

OTHER = "1" * 64
PACKAGES = sha256_bytes(canonical_json({"numpy": "2.1.0", "torch": "2.14.1"}))


def between(one: RunFacts, **changes: Any) -> list[Difference]:
    return difference(provenance(one), provenance(replace(one, **changes)))


def test_a_run_does_not_differ_from_itself_nor_by_its_id_time_and_comments(run_facts: RunFacts) -> None:
    assert between(run_facts) == []
    later = run_facts.finished + timedelta(days=1)
    assert between(run_facts, run="again", started=later, finished=later, spec_file=Artifact("spec", OTHER)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"arm": "dense"}, Difference("spec", "arm", "ticket", "dense")),
        ({"device": "cuda"}, Difference("environment", "device", "cpu", "cuda")),
        ({"precision": "bf16"}, Difference("environment", "precision", "fp32", "bf16")),
        (
            {"determinism": {"torch": "2.14.1", "threads": 2}},
            Difference("environment", "threads", 1, 2),
        ),
        (
            {"packages": {"numpy": "2.1.0", "torch": "2.15.0"}},
            Difference("environment", "packages.torch", "2.14.1", "2.15.0"),
        ),
        ({"packages": {"torch": "2.14.1"}}, Difference("environment", "packages.numpy", "2.1.0", None)),
        (
            {"machine": {"cpu": "A Processor", "cores": 2, "python": "CPython 3.12.0"}},
            Difference("environment", "python", "CPython 3.11.9", "CPython 3.12.0"),
        ),
        (
            {"machine": {"cpu": "Another", "cores": 2, "python": "CPython 3.11.9"}},
            Difference("machine", "cpu", "A Processor", "Another"),
        ),
        ({"density": 0.5}, Difference("result", "density", 0.1074, 0.5)),
        ({"metrics": {"accuracy": 0.5, "loss": float("inf")}}, Difference("result", "metrics.accuracy", 0.875, 0.5)),
        (
            {"metrics": {"accuracy": 0.875, "loss": float("-inf")}},
            Difference("result", "metrics.loss", "inf", "-inf"),
        ),
    ],
)
def test_one_change_is_one_difference_of_its_kind(
    run_facts: RunFacts, changes: dict[str, Any], expected: Difference
) -> None:
    assert between(run_facts, **changes) == [expected]


def test_a_changed_file_is_named_by_its_part(run_facts: RunFacts) -> None:
    for part, artifacts in (
        ("data", run_facts.data),
        ("statistics", run_facts.statistics),
        ("extractors", run_facts.extractors),
        ("starts", run_facts.starts),
    ):
        (artifact,) = artifacts
        (found,) = between(run_facts, **{part: (replace(artifact, sha256=OTHER),)})
        place = f"{part.removesuffix('s') if part in ('extractors', 'starts') else part}.{artifact.name}.sha256"
        assert found == Difference("data", place, artifact.sha256, OTHER)
    (dataset,), renamed = run_facts.data, "1" * 32 + ".dir"
    (found,) = between(run_facts, data=(replace(dataset, md5=renamed),))
    assert found == Difference("data", "data.fashion-mnist.md5", dataset.md5, renamed)
    mask = run_facts.subjects[0]
    (found,) = between(run_facts, subjects=(replace(mask, sha256=OTHER), *run_facts.subjects[1:]))
    assert found == Difference("result", "files.mask.sha256", mask.sha256, OTHER)
    statistics, train = run_facts.steps
    (found,) = between(run_facts, steps=(statistics, replace(train, identity=OTHER, outputs={"checkpoint": OTHER})))
    assert found == Difference("result", "steps.train.checkpoint", train.outputs["checkpoint"], OTHER)


def test_a_step_done_elsewhere_is_named_with_what_is_other_there(run_facts: RunFacts) -> None:
    statistics, train = run_facts.steps
    assert between(run_facts, steps=(replace(statistics, surroundings=train.surroundings), train)) == [
        Difference("environment", "steps.statistics.device", "cuda", "cpu"),
        Difference("environment", "steps.statistics.packages", statistics.surroundings.packages, PACKAGES),
        Difference("environment", "steps.statistics.python", "CPython 3.12.0", "CPython 3.11.9"),
        Difference("environment", "steps.statistics.threads", 8, 1),
        Difference("machine", "steps.statistics.cores", None, 2),
        Difference("machine", "steps.statistics.cpu", "Another", "A Processor"),
    ]


def test_what_differs_for_the_whole_run_is_said_once(run_facts: RunFacts) -> None:
    statistics, train = run_facts.steps
    other = {"torch": "2.14.1", "threads": 2}
    moved = replace(train, surroundings=replace(train.surroundings, determinism=other))
    assert between(run_facts, determinism=other, steps=(statistics, moved)) == [
        Difference("environment", "threads", 1, 2)
    ]
    packages = {"numpy": "2.2.0", "torch": "2.14.1"}
    listed = sha256_bytes(canonical_json(packages))
    moved = replace(train, surroundings=replace(train.surroundings, packages=listed))
    assert between(run_facts, packages=packages, steps=(statistics, moved)) == [
        Difference("environment", "packages.numpy", "2.1.0", "2.2.0")
    ]


def test_fields_of_the_spec_are_named_by_their_path(run_facts: RunFacts) -> None:
    spec = {"name": "quickstart", "seed": 0, "train": {"steps": 200, "augment": [{"kind": "crop"}]}, "arms": ["dense"]}
    assert between(run_facts, spec=spec) == [
        Difference("spec", "arms", ["ticket"], ["dense"]),
        Difference("spec", "train.augment.0.kind", "flip", "crop"),
        Difference("spec", "train.steps", 100, 200),
    ]


def test_true_is_not_one_and_one_is_not_one_point_nought(run_facts: RunFacts) -> None:
    for value in (False, 0.0, "0", None):
        (found,) = between(run_facts, spec={**run_facts.spec, "seed": value})
        assert (found.path, found.left, found.right) == ("seed", 0, value)


def test_causes_come_before_effects(run_facts: RunFacts) -> None:
    found = between(
        run_facts,
        spec={**run_facts.spec, "seed": 1},
        code=Code(OTHER),
        data=(),
        precision="bf16",
        machine={},
        density=None,
    )
    kinds = [one.kind for one in found]
    assert list(dict.fromkeys(kinds)) == ["spec", "code", "data", "environment", "machine", "result"]
    assert kinds == sorted(kinds, key=["spec", "code", "data", "environment", "machine", "result"].index)
    assert [one.path for one in found if one.kind == "code"] == ["commit", "meaning", "patch", "sources", "tree"]


def test_only_runs_can_be_compared(run_facts: RunFacts) -> None:
    verdict = Verdict("b7e1c2", OTHER, run_facts.subjects, run_facts.finished, passed=("mask",))
    with pytest.raises(LedgerError, match="provenance"):
        difference(provenance(run_facts), verification(verdict))
