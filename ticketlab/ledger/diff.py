"""What differs between two runs, causes before effects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ticketlab.files import canonical_json
from ticketlab.ledger.facts import Artifact, RunFacts
from ticketlab.ledger.statement import facts

Kind = Literal["spec", "code", "data", "environment", "machine", "result"]

_ENVIRONMENT_OF_MACHINE = ("python", "cuda", "cudnn")
"""What is software among the facts of a machine."""


@dataclass(frozen=True)
class Difference:
    """One field that differs; a side where the field is absent is None. `path` is dotted, e.g. `train.steps`."""

    kind: Kind
    path: str
    left: Any
    right: Any


def difference(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Difference]:
    """What differs between two provenance statements, in the order spec, code, data, environment, machine, result.

    Run ids, times and the bytes of the spec file (its comments, say) are no differences. LedgerError if either
    statement is not the provenance of a run.
    """
    ours, theirs = _fields(facts(left)), _fields(facts(right))
    return [
        Difference(kind, path, ours[kind].get(path), theirs[kind].get(path))
        for kind in ours
        for path in sorted(ours[kind].keys() | theirs[kind].keys())
        if canonical_json(ours[kind].get(path)) != canonical_json(theirs[kind].get(path))
    ]


def _fields(run: RunFacts) -> dict[Kind, dict[str, Any]]:
    machine = dict(run.machine)
    software = {name: machine.pop(name) for name in _ENVIRONMENT_OF_MACHINE if name in machine}
    used = {"data": run.data, "statistics": run.statistics, "extractor": run.extractors, "start": run.starts}
    steps = {step.name: dict(step.outputs) for step in run.steps}
    return {
        "spec": dict(_flat({**run.spec, "cell": run.cell, "arm": run.arm})),
        "code": {
            "commit": run.code.commit,
            "tree": run.code.tree,
            "patch": run.code.patch.sha256 if run.code.patch else None,
            "sources": run.code.sources,
        },
        "data": {path: digest for part, found in used.items() for path, digest in _digests(part, found)},
        "environment": dict(_flat({"device": run.device, "precision": run.precision, **run.determinism, **software}))
        | {f"packages.{name}": version for name, version in run.packages.items()},
        "machine": dict(_flat(machine)),
        "result": {
            **dict(_flat({"density": run.density, "steps": steps})),
            **{f"metrics.{name}": _number(value) for name, value in run.metrics.items()},
            **dict(_digests("files", run.subjects)),
        },
    }


def _digests(part: str, found: tuple[Artifact, ...]) -> Iterator[tuple[str, str]]:
    for one in found:
        yield f"{part}.{one.name}.sha256", one.sha256
        if one.md5:
            yield f"{part}.{one.name}.md5", one.md5


def _flat(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings by dotted path; lists of mappings are entered, other lists are leaves."""
    for name, inner in value.items():
        path = f"{above}{name}"
        if isinstance(inner, Mapping) and inner:
            yield from _flat(inner, f"{path}.")
        elif isinstance(inner, (list, tuple)) and any(isinstance(one, Mapping) for one in inner):
            yield from _flat({str(place): one for place, one in enumerate(inner)}, f"{path}.")
        else:
            yield path, inner


def _number(value: float) -> float | str:
    """The number, or its name where JSON has none for it."""
    return value if value - value == 0 else str(value)
