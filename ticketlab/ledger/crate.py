"""The metadata of a Workflow Run RO-Crate: a run told in the terms of schema.org, for papers and archives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from ticketlab.ledger.entry import Entry
from ticketlab.ledger.facts import Artifact, RunFacts

Entity = dict[str, Any]

_CRATE = "https://w3id.org/ro/crate/1.1"
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_ENCODINGS = {
    ".json": "application/json",
    ".npz": "application/zip",
    ".patch": "text/x-patch",
    ".png": "image/png",
    ".yaml": "application/yaml",
}
_LANGUAGE, _ENGINE, _LICENCE = "#spec-language", "#ticketlab", "#licence"


@dataclass(frozen=True)
class Part:
    """A file in the crate: `at` is its path there."""

    name: str
    at: str
    sha256: str


def crate(
    run: RunFacts, entry: Entry, written: Mapping[str, Part], found: tuple[Part, ...], licence: str
) -> dict[str, Any]:
    """The content of `ro-crate-metadata.json` for one run.

    The resolved spec is the workflow, the run is the action it was the instrument of; `written` are the spec and the
    statement, `found` the run's files that are in the crate, the rest is named by digest.
    Source: Workflow Run RO-Crate 0.5 (process and workflow run profiles), RO-Crate 1.1.
    """
    parts = {(part.name, part.sha256): part for part in found}
    inputs = [_input(one, parts) for one in _inputs(run)] + [_file(part) for part in found if part.name == "patch"]
    results = [_input(one, parts) for one in run.subjects] + [_metric(name, run.metrics[name]) for name in run.metrics]
    packages = [_package(name, release) for name, release in run.packages.items()]
    action = _action(run, entry, inputs, results)
    statement = {**_file(written["statement.json"]), "about": {"@id": action["@id"]}}
    files = _distinct([_spec(written["spec.json"], run, packages), statement, *inputs, *results])
    named = _distinct([*files, *packages, action, *_around(licence)])
    root = _root(run, entry, action, [one for one in files if "File" in one["@type"]], licence)
    return {
        "@context": [f"{_CRATE}/context", "https://w3id.org/ro/terms/workflow-run/context"],
        "@graph": [*root, *named],
    }


def _root(run: RunFacts, entry: Entry, action: Entity, files: list[Entity], licence: str) -> list[Entity]:
    about = {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": [{"@id": _CRATE}, {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"}],
    }
    dataset = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{run.cell}, arm {run.arm}",
        "description": f"What run {run.run} of ticketlab read and made; entry {entry.index} of its ledger.",
        "datePublished": run.finished.isoformat(timespec="seconds"),
        "license": {"@id": licence or _LICENCE},
        "conformsTo": [{"@id": profile} for profile in _PROFILES],
        "hasPart": _references(files),
        "mainEntity": {"@id": "spec.json"},
        "mentions": {"@id": action["@id"]},
    }
    return [about, dataset]


def _around(licence: str) -> list[Entity]:
    """What the rest refers to: profiles, the spec language, ticketlab itself, the licence."""
    profiles: list[Entity] = [
        {"@id": profile, "@type": "CreativeWork", "name": name, "version": release}
        for profile, (name, release) in _PROFILES.items()
    ]
    language = {"@id": _LANGUAGE, "@type": "ComputerLanguage", "name": "ticketlab spec", "version": "1"}
    engine = {
        "@id": _ENGINE,
        "@type": "SoftwareApplication",
        "name": "ticketlab",
        "softwareVersion": version("ticketlab"),
    }
    told = "Licence" if licence else "No licence was stated; all rights remain with the authors."
    return [*profiles, language, engine, {"@id": licence or _LICENCE, "@type": "CreativeWork", "name": told}]


def _spec(part: Part, run: RunFacts, packages: list[Entity]) -> Entity:
    return {
        **_file(part),
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": str(run.spec.get("name", run.cell)),
        "description": str(run.spec.get("about", "")) or "The resolved spec, defaults included.",
        "programmingLanguage": {"@id": _LANGUAGE},
        "softwareRequirements": _references([{"@id": _ENGINE}, *packages]),
    }


def _action(run: RunFacts, entry: Entry, inputs: list[Entity], results: list[Entity]) -> Entity:
    return {
        "@id": f"#run-{quote(run.run, safe='')}",
        "@type": "CreateAction",
        "name": f"Run {run.run}",
        "description": f"arm {run.arm} of {run.cell} on {run.device} in {run.precision}; ledger entry {entry.digest}",
        "startTime": run.started.isoformat(timespec="seconds"),
        "endTime": run.finished.isoformat(timespec="seconds"),
        "instrument": {"@id": "spec.json"},
        "object": _references(inputs),
        "result": _references(results),
    }


def _inputs(run: RunFacts) -> tuple[Artifact, ...]:
    spec_file = (run.spec_file,) if run.spec_file else ()
    # Splits are named and never come along: datasets have licences of their own.
    return (*run.data, *run.splits, *run.statistics, *run.extractors, *run.starts, *spec_file)


def _input(artifact: Artifact, parts: Mapping[tuple[str, str], Part]) -> Entity:
    """A file of the crate, or where it did not come along, the work that it is, by digest."""
    if (artifact.name, artifact.sha256) in parts:
        return _file(parts[artifact.name, artifact.sha256])
    return {
        "@id": f"#sha256-{artifact.sha256}",
        "@type": "CreativeWork",
        "name": artifact.name,
        "description": "Not in this crate; known by its digest.",
        "sha256": artifact.sha256,
    }


def _file(part: Part) -> Entity:
    return {
        "@id": quote(part.at),
        "@type": "File",
        "name": part.name,
        "sha256": part.sha256,
        "encodingFormat": _ENCODINGS.get(PurePosixPath(part.at).suffix, "application/octet-stream"),
    }


def _metric(name: str, value: float) -> Entity:
    finite = value - value == 0
    return {
        "@id": f"#metric-{quote(name, safe='')}",
        "@type": "PropertyValue",
        "name": name,
        "value": value if finite else str(value),
    }


def _package(name: str, release: str) -> Entity:
    """An installed distribution, by its package URL."""
    purl = f"pkg:pypi/{quote(name, safe='')}@{quote(release, safe='')}"
    return {"@id": purl, "@type": "SoftwareApplication", "name": name, "softwareVersion": release}


def _references(entities: Iterable[Entity]) -> list[Entity]:
    return [{"@id": one} for one in dict.fromkeys(str(entity["@id"]) for entity in entities)]


def _distinct(entities: Iterable[Entity]) -> list[Entity]:
    return list({entity["@id"]: entity for entity in entities}.values())
