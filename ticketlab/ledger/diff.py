"""What differs between two runs, causes before effects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger.facts import Artifact, RunFacts, Surroundings
from ticketlab.ledger.paired import paired
from ticketlab.ledger.statement import facts

Kind = Literal["spec", "code", "data", "environment", "machine", "result"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STEPS = "steps."
"""What the path of a difference between the surroundings of two steps begins with."""

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

    Run ids, times and the bytes of the spec file (its comments, say) are no differences; nor are the numbers of steps,
    which go by the names they have on the left. Where a step was done on
    another machine than in the other run, `steps.<name>.` stands before what differs beyond what does for the run as a
    whole. LedgerError if either statement is not the provenance of a run.
    """
    ours = facts(left)
    theirs = _named_alike(ours, facts(right))
    whole = _between(_fields(ours), _fields(theirs))
    if ours.code.sources == theirs.code.sources:
        # The same code: runs of other steps rest on other modules of it.
        whole = [one for one in whole if (one.kind, one.path) != ("code", "meaning")]
    packages = Difference("environment", "packages", _listed(ours.packages), _listed(theirs.packages))
    known = {(one.path, repr(one.left), repr(one.right)) for one in (*whole, packages)}
    fresh = [
        replace(one, path=f"{STEPS}{step.name}.{one.path}")
        for step, same in paired(ours, theirs)
        if step is not None and same is not None
        for one in _between(_around(step.surroundings), _around(same.surroundings))
        if (one.path, repr(one.left), repr(one.right)) not in known
    ]
    return sorted([*whole, *fresh], key=lambda one: KINDS.index(one.kind))


def asked_otherwise(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[Difference]:
    """What differs between two specs as plain JSON values."""
    return _between({"spec": dict(_flat(left))}, {"spec": dict(_flat(right))})


def _between(ours: Mapping[Kind, Mapping[str, Any]], theirs: Mapping[Kind, Mapping[str, Any]]) -> list[Difference]:
    return [
        Difference(kind, path, ours[kind].get(path), theirs[kind].get(path))
        for kind in ours
        for path in sorted(ours[kind].keys() | theirs[kind].keys())
        if canonical_json(ours[kind].get(path)) != canonical_json(theirs[kind].get(path))
    ]


def _named_alike(ours: RunFacts, theirs: RunFacts) -> RunFacts:
    """The second run with the names, numbers included, that the first has for the same steps."""
    names = [(mine, step) for mine, step in paired(ours, theirs) if step is not None]
    return replace(theirs, steps=tuple(replace(step, name=mine.name) if mine else step for mine, step in names))


def _around(surroundings: Surroundings) -> dict[Kind, dict[str, Any]]:
    machine, software = _parted(surroundings.machine)
    switches = {"device": surroundings.device, "packages": surroundings.packages, **surroundings.determinism}
    return {"environment": dict(_flat({**switches, **software})), "machine": dict(_flat(machine))}


def _listed(packages: Mapping[str, str]) -> str:
    """The digest by which the surroundings of a step know a list of packages."""
    return sha256_bytes(canonical_json(packages))


def _parted(machine: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The hardware and the software among the facts of a machine."""
    software = {name: machine[name] for name in _ENVIRONMENT_OF_MACHINE if name in machine}
    return {name: value for name, value in machine.items() if name not in software}, software


def _fields(run: RunFacts) -> dict[Kind, dict[str, Any]]:
    machine, software = _parted(run.machine)
    used = {
        "data": run.data,
        "split": run.splits,
        "statistics": run.statistics,
        "extractor": run.extractors,
        "start": run.starts,
    }
    steps = {step.name: dict(step.outputs) for step in run.steps}
    return {
        "spec": dict(_flat({**run.spec, "cell": run.cell, "arm": run.arm})),
        "code": {
            "commit": run.code.commit,
            "tree": run.code.tree,
            "patch": run.code.patch.sha256 if run.code.patch else None,
            "sources": run.code.sources,
            "meaning": run.code.meaning,
        },
        "data": {path: digest for part, found in used.items() for path, digest in _digests(part, found)},
        "environment": dict(_flat({"device": run.device, "precision": run.precision, **run.determinism, **software}))
        | {f"packages.{name}": version for name, version in run.packages.items()},
        "machine": dict(_flat(machine)),
        "result": {
            **dict(_flat({"density": run.density, "collapsed": run.collapsed, "steps": steps})),
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
