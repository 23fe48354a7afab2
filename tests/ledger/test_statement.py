from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ticketlab.errors import LedgerError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.facts import Artifact, Code, RunFacts, Verdict
from ticketlab.ledger.statement import BUILD_TYPE, facts, provenance, subjects, verdict, verification

SCHEMAS = Path(__file__).parent / "schemas"


def schema_of(predicate_type: str, file: str) -> Draft202012Validator:
    """An in-toto Statement v1 around a predicate, by the schemas beside this module.

    They are not published ones: in-toto and SLSA publish prose and protobuf definitions, and these were written by hand
    from the prose that each file names. A misreading of it would be in them too; the definitions have a test below.
    """
    statement, predicate = (json.loads((SCHEMAS / name).read_bytes()) for name in ("statement-v1.json", file))
    about = {"predicateType": {"const": predicate_type}, "predicate": predicate_in(predicate)}
    strict = {**statement, "required": [*statement["required"], "predicate"]}
    return Draft202012Validator({**strict, "properties": {**statement["properties"], **about}})


def predicate_in(schema: dict[str, Any]) -> dict[str, Any]:
    """A predicate's schema inside that of a statement, which has the same definitions."""
    return {name: part for name, part in schema.items() if name not in ("$schema", "$defs")}


PROVENANCE_V1 = schema_of("https://slsa.dev/provenance/v1", "slsa-provenance-v1.json")
TEST_RESULT_V01 = schema_of("https://in-toto.io/attestation/test-result/v0.1", "test-result-v0.1.json")


def a_verdict(run_facts: RunFacts, **checks: tuple[str, ...]) -> Verdict:
    statement = sha256_bytes(canonical_json(provenance(run_facts)))
    return Verdict(run_facts.run, statement, run_facts.subjects, datetime(2026, 1, 3, tzinfo=UTC), **checks)


def test_a_run_is_told_as_slsa_provenance_in_an_in_toto_statement(run_facts: RunFacts) -> None:
    statement = provenance(run_facts)
    PROVENANCE_V1.validate(statement)
    definition = statement["predicate"]["buildDefinition"]
    assert definition["buildType"] == BUILD_TYPE
    assert definition["externalParameters"]["spec"] == run_facts.spec
    assert definition["externalParameters"]["specFile"]["digest"]["sha256"] == run_facts.spec_file.sha256
    assert not definition["externalParameters"].keys() & definition["internalParameters"].keys()
    digests = {one["name"]: one["digest"] for one in definition["resolvedDependencies"]}
    assert digests["code"] == {"gitCommit": "a" * 40, "gitTree": "b" * 40}
    assert digests["fashion-mnist"] == {"sha256": run_facts.data[0].sha256}, "what DVC calls a folder is no MD5"
    (images,) = (one for one in definition["resolvedDependencies"] if one["name"] == "fashion-mnist")
    assert images["annotations"]["dvc"] == run_facts.data[0].md5
    metadata = statement["predicate"]["runDetails"]["metadata"]
    assert metadata["startedOn"] == "2026-01-02T03:04:05.000000Z"
    assert metadata["finishedOn"] == "2026-01-02T03:04:06.000007Z"
    names = [one["name"] for one in statement["subject"]]
    assert len(names) == len(set(names))


def test_each_surroundings_is_stated_once_and_each_step_points_at_its_own(run_facts: RunFacts) -> None:
    statistics, train = run_facts.steps
    steps = (train, statistics, *(replace(train, name=f"round {number}") for number in range(20)))
    predicate = provenance(replace(run_facts, steps=steps))["predicate"]
    listed = predicate["buildDefinition"]["internalParameters"]["surroundings"]
    assert [one["device"] for one in listed] == ["cpu", "cuda"]
    noted = [one["annotations"] for one in predicate["runDetails"]["byproducts"]]
    assert [one["surroundings"] for one in noted if one["kind"] == "step"] == [0, 1, *[0] * 20]
    packages = next(one for one in predicate["buildDefinition"]["resolvedDependencies"] if one["name"] == "packages")
    assert listed[0]["packages"] == packages["digest"], "those of the training are in the statement, by that digest"


@pytest.mark.parametrize("position", [2, -1, True, "0", None])
def test_a_step_on_surroundings_that_are_not_listed_is_refused(run_facts: RunFacts, position: object) -> None:
    statement = provenance(run_facts)
    step = next(
        one for one in statement["predicate"]["runDetails"]["byproducts"] if one["annotations"]["kind"] == "step"
    )
    step["annotations"]["surroundings"] = position
    with pytest.raises(LedgerError, match="surroundings"):
        facts(statement)


@pytest.mark.parametrize("part", ["packages", "metrics", "step"])
def test_values_whose_digest_is_another_are_refused(run_facts: RunFacts, part: str) -> None:
    statement = provenance(run_facts)
    predicate = statement["predicate"]
    described = [*predicate["buildDefinition"]["resolvedDependencies"], *predicate["runDetails"]["byproducts"]]
    next(one for one in described if one["annotations"]["kind"] == part)["digest"]["sha256"] = "0" * 64
    with pytest.raises(LedgerError, match="is not that of its values"):
        facts(statement)


@pytest.mark.parametrize("odd", ["a\x1b[2J", "a\nb", "\ud800", "\u2028", "\u202e", ["a"], None, 7])
def test_what_is_no_text_for_a_line_is_refused_wherever_it_is_shown(run_facts: RunFacts, odd: Any) -> None:
    step, artifact = run_facts.steps[0], run_facts.subjects[0]
    for make in (
        lambda: replace(step, name=odd),
        lambda: replace(step, outputs={"weights.safetensors": odd}),
        lambda: replace(run_facts, packages={"torch": odd}),
        lambda: replace(a_verdict(run_facts, failed=("mask",)), run=odd),
        lambda: a_verdict(run_facts, failed=(odd,)),
        *([lambda: replace(artifact, path=odd), lambda: replace(artifact, origin=odd)] if isinstance(odd, str) else []),
    ):
        with pytest.raises(TypeError, match="text without control characters was expected"):
            make()


def test_statements_from_before_steps_said_what_they_read_are_still_read(run_facts: RunFacts) -> None:
    statement = provenance(run_facts)
    for one in statement["predicate"]["runDetails"]["byproducts"]:
        one["annotations"].pop("inputs", None)
    build = statement["predicate"]["buildDefinition"]
    build["resolvedDependencies"] = [
        one for one in build["resolvedDependencies"] if one["annotations"]["kind"] != "split"
    ]
    steps = tuple(replace(step, inputs={}) for step in run_facts.steps)
    assert facts(statement) == replace(run_facts, steps=steps, splits=())


def test_facts_come_back_from_the_ledger_as_they_went_in(run_facts: RunFacts, tmp_path: Path) -> None:
    chain = Chain(tmp_path / "ledger.jsonl")
    chain.append(provenance(run_facts))
    (entry,) = chain.entries()
    assert facts(entry.statement) == run_facts
    assert subjects(entry.statement) == run_facts.subjects


@pytest.mark.parametrize(
    "change",
    [
        {"code": Code("0" * 64)},
        {"code": Code("0" * 64, None, "b" * 40)},
        {
            "spec_file": None,
            "data": (),
            "statistics": (),
            "extractors": (),
            "starts": (),
            "steps": (),
        },
        {"metrics": {}, "main_metric": None, "density": None},
        {"metrics": {"a": float("-inf"), "b": float("inf"), "c": 0.1 + 0.2, "d": 3}},
    ],
)
def test_facts_that_are_missing_or_odd_come_back_too(run_facts: RunFacts, change: dict[str, Any]) -> None:
    changed = replace(run_facts, **change)
    statement = json.loads(canonical_json(provenance(changed)))
    PROVENANCE_V1.validate(statement)
    assert facts(statement) == changed


def test_a_metric_that_is_not_a_number_comes_back_as_such(run_facts: RunFacts) -> None:
    found = facts(json.loads(canonical_json(provenance(replace(run_facts, metrics={"loss": float("nan")})))))
    assert found.metrics["loss"] != found.metrics["loss"]


def test_times_are_written_in_utc(run_facts: RunFacts) -> None:
    there = datetime(2026, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    metadata = provenance(replace(run_facts, started=there))["predicate"]["runDetails"]["metadata"]
    assert metadata["startedOn"] == "2026-01-02T03:04:05.000000Z"
    with pytest.raises(ValueError, match="zone"):
        provenance(replace(run_facts, started=datetime(2026, 1, 2)))


@pytest.mark.parametrize(
    ("checks", "result"),
    [
        ({"passed": ("mask",)}, "PASSED"),
        ({"passed": ("mask",), "warned": ("metrics",)}, "WARNED"),
        ({"passed": ("mask",), "warned": ("metrics",), "failed": ("checkpoint",)}, "FAILED"),
    ],
)
def test_a_verification_is_told_as_an_in_toto_test_result(
    run_facts: RunFacts, checks: dict[str, tuple[str, ...]], result: str
) -> None:
    given_verdict = a_verdict(run_facts, **checks)
    statement = json.loads(canonical_json(verification(given_verdict)))
    TEST_RESULT_V01.validate(statement)
    assert statement["predicate"]["result"] == result
    assert statement["subject"] == provenance(run_facts)["subject"]
    assert verdict(statement) == given_verdict


def redone(run_facts: RunFacts) -> Verdict:
    """A verdict on work done again, by other code and with two threads."""
    return replace(
        a_verdict(run_facts, passed=("mask",)),
        mode="redone",
        code=replace(run_facts.code, commit="c" * 40),
        surroundings=replace(run_facts.steps[1].surroundings, determinism={"torch": "2.14.1", "threads": 2}),
        causes=(
            {"kind": "code", "path": "commit", "then": "a" * 40, "now": "c" * 40},
            {"kind": "environment", "path": "threads", "then": 1, "now": 2},
        ),
    )


def test_how_and_with_what_work_was_done_again_is_told_in_the_fields_of_a_test_result(run_facts: RunFacts) -> None:
    for given_verdict in (redone(run_facts), replace(a_verdict(run_facts, passed=("mask",)), mode="files")):
        statement = json.loads(canonical_json(verification(given_verdict)))
        TEST_RESULT_V01.validate(statement)
        assert verdict(statement) == given_verdict


def test_a_verification_of_no_known_mode_is_refused(run_facts: RunFacts) -> None:
    statement = verification(redone(run_facts))
    statement["predicate"]["configuration"][0]["annotations"]["mode"] = "guessed"
    with pytest.raises(LedgerError, match="guessed"):
        verdict(statement)


def test_a_verification_that_checked_nothing_has_no_result(run_facts: RunFacts) -> None:
    with pytest.raises(ValueError, match="checked nothing"):
        verification(a_verdict(run_facts))


def test_a_result_that_its_tests_contradict_is_refused(run_facts: RunFacts) -> None:
    statement = verification(a_verdict(run_facts, failed=("mask",)))
    statement["predicate"]["result"] = "PASSED"
    with pytest.raises(LedgerError, match="FAILED"):
        verdict(statement)


def test_a_statement_about_nothing_is_refused(run_facts: RunFacts) -> None:
    with pytest.raises(ValueError, match="at least one"):
        provenance(replace(run_facts, subjects=()))


@pytest.mark.parametrize("path", ["/abs", "a/../../b", "..", "", "a\\b", "a\0b"])
def test_a_path_that_leads_out_of_the_project_is_no_artifact(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Artifact("mask", "0" * 64, path=path)


@pytest.mark.parametrize(
    ("sha256", "md5"), [("0" * 63, None), ("G" * 64, None), ("0" * 64, "0" * 31), ("0" * 65, None)]
)
def test_a_malformed_digest_is_no_artifact(sha256: str, md5: str | None) -> None:
    with pytest.raises(ValueError, match=r"not an? "):
        Artifact("mask", sha256, md5)


@pytest.mark.parametrize("junk", ["/etc/passwd", "../secret", "--force", "HEAD", "A" * 64, "0" * 65])
@pytest.mark.parametrize(
    ("name", "field", "kind"),
    [
        ("patch", "patch", "sha256"),
        ("sources", "sources", "sha256"),
        ("code", "commit", "gitCommit"),
        ("code", "tree", "gitTree"),
    ],
)
def test_a_digest_that_could_be_a_path_or_an_option_is_refused_by_the_name_of_its_field(
    run_facts: RunFacts, name: str, field: str, kind: str, junk: str
) -> None:
    statement = provenance(run_facts)
    dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    next(one for one in dependencies if one["name"] == name)["digest"][kind] = junk
    with pytest.raises(LedgerError, match=f"{field}: not a "):
        facts(statement)


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(place for name, one in inner for place in places(one, (*above, name)))]


def put(statement: dict[str, Any], place: tuple[Any, ...], junk: Any) -> Any:
    changed = deepcopy(statement)
    here: Any = changed
    for name in place[:-1]:
        here = here[name]
    here[place[-1]] = junk
    return changed


JUNK = st.sampled_from([None, 1, -2.5, "x", "../..", [], {}, [1], {"a": 1}, [[]], [None], {"digest": 0}])


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), junk=JUNK)
def test_a_statement_with_junk_anywhere_is_read_or_refused_but_never_crashes(
    run_facts: RunFacts, data: st.DataObject, junk: Any
) -> None:
    checked = redone(run_facts)
    readers: list[tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]] = [
        (provenance(run_facts), facts),
        (verification(checked), verdict),
    ]
    statement, reader = data.draw(st.sampled_from(readers))
    place = data.draw(st.sampled_from(places(statement)[1:]))
    with suppress(LedgerError):
        found = reader(put(statement, place, junk))
        assert isinstance(found, (RunFacts, Verdict))


@pytest.mark.parametrize(
    ("place", "junk"),
    [
        (("predicate", "buildDefinition", "externalParameters", "cell"), "a\x1b[2Jb"),
        (("predicate", "buildDefinition", "externalParameters", "arm"), "\ud800"),
        (("subject", 0, "name"), "two\nlines"),
        (("subject",), []),
    ],
)
def test_what_a_terminal_cannot_show_and_what_is_about_nothing_is_no_run(
    run_facts: RunFacts, place: tuple[Any, ...], junk: Any
) -> None:
    with pytest.raises(LedgerError) as refused:
        facts(put(provenance(run_facts), place, junk))
    assert str(refused.value).isascii()
    assert "\x1b" not in str(refused.value)


def test_a_number_that_no_measurement_gives_is_no_metric(run_facts: RunFacts) -> None:
    for change in ({"density": 10**400}, {"metrics": {"accuracy": 10**400}}):
        with pytest.raises(ValueError, match="larger than any"):
            replace(run_facts, **change)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: made.pop("predicateType"),
        lambda made: made.update(subject=[]),
        lambda made: made["subject"][0].pop("digest"),
        lambda made: made["subject"][0]["digest"].update(sha256="A" * 64),
        lambda made: made["subject"][0]["digest"].update(md5="0" * 32 + ".dir"),
        lambda made: made["predicate"]["buildDefinition"].pop("externalParameters"),
        lambda made: made["predicate"]["buildDefinition"].update(machine={}),
        lambda made: made["predicate"]["runDetails"]["builder"].update(id="me"),
        lambda made: made["predicate"]["runDetails"]["metadata"].update(startedOn="2026-01-02 03:04:05"),
        lambda made: made["predicate"]["runDetails"]["byproducts"][0].pop("digest"),
    ],
)
def test_the_schemas_written_from_the_prose_refuse_what_is_not_such_a_statement(
    run_facts: RunFacts, spoil: Callable[[dict[str, Any]], Any]
) -> None:
    made = deepcopy(provenance(run_facts))
    assert PROVENANCE_V1.is_valid(made)
    spoil(made)
    assert not PROVENANCE_V1.is_valid(made)


PREDICATES_V1 = "in_toto_attestation.predicates"


def test_the_published_definitions_read_what_is_stated(run_facts: RunFacts) -> None:
    """By the protobuf definitions that in-toto publishes, compiled by in-toto; a field they do not know is an error."""
    whole = pytest.importorskip("in_toto_attestation.v1.statement_pb2").Statement
    run = import_module(f"{PREDICATES_V1}.provenance.v1.provenance_pb2").Provenance
    test = import_module(f"{PREDICATES_V1}.test_result.v0.test_result_pb2").TestResult
    verified = verification(a_verdict(run_facts, passed=("mask",), warned=("metrics",), failed=("samples",)))
    for statement, predicate in ((provenance(run_facts), run), (verified, test)):
        assert MessageToDict(ParseDict(statement, whole())) == statement
        read = MessageToDict(ParseDict(statement["predicate"], predicate()))
        assert without_times(read) == without_times(statement["predicate"]), "protobuf spells times its own way"
        with pytest.raises(ParseError, match="machine"):
            ParseDict({**statement["predicate"], "machine": {}}, predicate())


def without_times(predicate: dict[str, Any]) -> dict[str, Any]:
    kept = deepcopy(predicate)
    for name in ("startedOn", "finishedOn"):
        kept.get("runDetails", {}).get("metadata", {}).pop(name, None)
    return kept
