"""Statements: what a run made from what (SLSA provenance), and what a verification found (in-toto test result)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, get_args

from ticketlab.errors import LedgerError
from ticketlab.ledger import descriptor
from ticketlab.ledger.facts import Artifact, Mode, RunFacts, Verdict

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
BUILD_TYPE = "urn:ticketlab:run:v1"
"""The template of a run; its parameters and how to start it again are described in docs/ledger.md."""
BUILDER = "urn:ticketlab:local:v1"
"""Whoever runs ticketlab on a machine of their own: nothing vouches for the statement but they."""

Statement = dict[str, Any]


def provenance(facts: RunFacts) -> Statement:
    """The in-toto Statement v1 with SLSA Provenance v1 of one run; JSON values only.

    Source: in-toto attestation framework v1, slsa.dev/spec/v1.0/provenance.
    """
    surroundings, steps = descriptor.of_steps(facts.steps)
    spec_file = {"specFile": descriptor.of_artifact(facts.spec_file, "spec")} if facts.spec_file else {}
    definition = {
        "buildType": BUILD_TYPE,
        "externalParameters": {"spec": dict(facts.spec), "cell": facts.cell, "arm": facts.arm, **spec_file},
        "internalParameters": {
            "device": facts.device,
            "precision": facts.precision,
            "determinism": dict(facts.determinism),
            "machine": dict(facts.machine),
            "surroundings": surroundings,
        },
        "resolvedDependencies": _dependencies(facts),
    }
    details = {
        "builder": {"id": BUILDER, "version": {"ticketlab": version("ticketlab")}},
        "metadata": {
            "invocationId": facts.run,
            "startedOn": _spelt(facts.started),
            "finishedOn": _spelt(facts.finished),
        },
        "byproducts": _byproducts(facts, steps),
    }
    return _statement(facts.subjects, PROVENANCE, {"buildDefinition": definition, "runDetails": details})


def facts(statement: Mapping[str, Any]) -> RunFacts:
    """The facts that `provenance` put into a statement; LedgerError if it is not one of ours, or malformed."""
    predicate = _predicate(statement, PROVENANCE)
    with _reading("provenance of a ticketlab run"):
        definition, details = predicate["buildDefinition"], predicate["runDetails"]
        if definition["buildType"] != BUILD_TYPE:
            raise ValueError(f"the build type is {definition['buildType']!r}")
        external, internal = definition["externalParameters"], definition["internalParameters"]
        dependencies, byproducts = definition["resolvedDependencies"], details["byproducts"]
        found = {one["annotations"]["kind"]: one for one in (*dependencies, *byproducts)}
        measured = found["metrics"]["annotations"]
        return RunFacts(
            run=details["metadata"]["invocationId"],
            cell=external["cell"],
            arm=external["arm"],
            subjects=subjects(statement),
            spec=external["spec"],
            spec_file=descriptor.artifact(external["specFile"]) if "specFile" in external else None,
            device=internal["device"],
            precision=internal["precision"],
            determinism=internal["determinism"],
            machine=internal["machine"],
            code=descriptor.code(dependencies),
            data=_of_kind(dependencies, "data"),
            splits=_of_kind(dependencies, "split"),
            statistics=_of_kind(dependencies, "statistics"),
            extractors=_of_kind(dependencies, "extractor"),
            starts=_of_kind(dependencies, "start"),
            packages=descriptor.values(found["packages"]),
            steps=tuple(
                descriptor.step(one, internal["surroundings"])
                for one in byproducts
                if one["annotations"]["kind"] == "step"
            ),
            metrics={name: descriptor.number(value) for name, value in descriptor.values(found["metrics"]).items()},
            main_metric=measured["main"],
            density=measured["density"],
            collapsed=measured.get("collapsed", {}),
            started=_time(details["metadata"]["startedOn"]),
            finished=_time(details["metadata"]["finishedOn"]),
        )


def verification(verdict: Verdict) -> Statement:
    """The in-toto Statement v1 with Test Result v0.1 of one verification; ValueError if nothing was checked."""
    if not (verdict.passed or verdict.warned or verdict.failed):
        raise ValueError("a verification that checked nothing has no result")
    predicate = {
        "result": verdict.result,
        "configuration": list(_configuration(verdict)),
        "passedTests": list(verdict.passed),
        "warnedTests": list(verdict.warned),
        "failedTests": list(verdict.failed),
    }
    return _statement(verdict.subjects, TEST_RESULT, predicate)


def _configuration(verdict: Verdict) -> Iterator[descriptor.Descriptor]:
    """What was put to the test, how, and with what: by which code, on what, and what of these differs from then."""
    mode = {"mode": verdict.mode} if verdict.mode else {}
    yield {
        "name": verdict.run,
        "digest": {"sha256": verdict.statement},
        "annotations": {"kind": "statement", "at": _spelt(verdict.at), **mode},
    }
    if verdict.code:
        yield from descriptor.of_code(verdict.code)
    if verdict.surroundings:
        yield descriptor.of_values("surroundings", descriptor.of_surroundings(verdict.surroundings))
        yield descriptor.of_values("causes", {"differences": [dict(cause) for cause in verdict.causes]})


def verdict(statement: Mapping[str, Any]) -> Verdict:
    """The verdict that `verification` put into a statement; LedgerError if it is not one, or malformed."""
    predicate = _predicate(statement, TEST_RESULT)
    with _reading("test result of a ticketlab run"):
        by_kind = {one["annotations"]["kind"]: one for one in predicate["configuration"]}
        tested = by_kind["statement"]
        mode = tested["annotations"].get("mode")
        if mode not in (None, *get_args(Mode)):
            raise ValueError(f"no verification is {mode!r}")
        around, causes = by_kind.get("surroundings"), by_kind.get("causes")
        found = Verdict(
            run=tested["name"],
            statement=tested["digest"]["sha256"],
            subjects=subjects(statement),
            at=_time(tested["annotations"]["at"]),
            passed=tuple(predicate["passedTests"]),
            warned=tuple(predicate["warnedTests"]),
            failed=tuple(predicate["failedTests"]),
            mode=mode,
            code=descriptor.code(by_kind.values()) if "sources" in by_kind else None,
            surroundings=descriptor.surroundings(descriptor.values(around)) if around else None,
            causes=tuple(descriptor.values(causes)["differences"]) if causes else (),
        )
        if found.result != predicate["result"]:
            raise ValueError(f"the result is {predicate['result']}, the tests say {found.result}")
        return found


def subjects(statement: Mapping[str, Any]) -> tuple[Artifact, ...]:
    """The files a statement is about; LedgerError if it is malformed, or about none."""
    with _reading("in-toto statement"):
        found = tuple(descriptor.artifact(one) for one in statement["subject"])
        if not found:
            raise ValueError("a statement is about at least one file")
        return found


def _statement(about: tuple[Artifact, ...], kind: str, predicate: Mapping[str, Any]) -> Statement:
    if not about:
        raise ValueError("a statement is about at least one file")
    subject = [descriptor.of_artifact(one, "subject") for one in about]
    return {"_type": STATEMENT, "subject": subject, "predicateType": kind, "predicate": dict(predicate)}


def _dependencies(facts: RunFacts) -> list[descriptor.Descriptor]:
    named = (
        ("data", facts.data),
        ("split", facts.splits),
        ("statistics", facts.statistics),
        ("extractor", facts.extractors),
        ("start", facts.starts),
    )
    files = [descriptor.of_artifact(one, kind) for kind, artifacts in named for one in artifacts]
    return [*descriptor.of_code(facts.code), *files, descriptor.of_values("packages", facts.packages)]


def _byproducts(facts: RunFacts, steps: list[descriptor.Descriptor]) -> list[descriptor.Descriptor]:
    spelt = {name: descriptor.spelt(value) for name, value in facts.metrics.items()}
    # Said only where there is something to say: as statements were before, where there is not.
    collapsed = {"collapsed": dict(facts.collapsed)} if facts.collapsed else {}
    metrics = descriptor.of_values("metrics", spelt, main=facts.main_metric, density=facts.density, **collapsed)
    return [metrics, *steps]


def _of_kind(found: list[dict[str, Any]], kind: str) -> tuple[Artifact, ...]:
    return tuple(descriptor.artifact(one) for one in found if one["annotations"]["kind"] == kind)


def _predicate(statement: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    if statement.get("_type") != STATEMENT or statement.get("predicateType") != kind:
        raise LedgerError(f"a statement of type {kind} was expected, not {statement.get('predicateType')!r}")
    predicate = statement.get("predicate")
    return predicate if isinstance(predicate, dict) else {}


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise LedgerError(f"this is not the {what}: {type(error).__name__} {error}") from error


def _spelt(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a time in the ledger must know its zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _time(spelling: str) -> datetime:
    moment = datetime.fromisoformat(spelling)
    if moment.tzinfo is None:
        raise ValueError(f"a time without zone: {spelling!r}")
    return moment
