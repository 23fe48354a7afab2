from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ticketlab.errors import CorruptFile, EnvironmentProblem, LedgerError
from ticketlab.files import canonical_json
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.entry import Entry
from ticketlab.ledger.export import intoto, ro_crate
from ticketlab.ledger.facts import Artifact, Blob, Code, RunFacts
from ticketlab.ledger.statement import provenance

PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
WORKFLOW = "https://w3id.org/ro/wfrun/workflow/0.5"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"


@pytest.fixture
def project(tmp_path: Path, run_facts: RunFacts) -> Path:
    """A project whose files have the content that `run_facts` says."""
    project = tmp_path / "project"
    contents = {artifact.path: artifact.name for artifact in run_facts.subjects} | {"specs/quickstart.yaml": "spec"}
    contents[f".ticketlab/blobs/{run_facts.code.patch.sha256}"] = "patch"
    for path, content in contents.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(content)
    return project


def entry_of(project: Path, run: RunFacts) -> Entry:
    return Chain(project / "ledger.jsonl").append(provenance(run))


def read(metadata: Path) -> dict[str, dict[str, Any]]:
    crate = json.loads(metadata.read_text())
    assert crate["@context"] == [
        "https://w3id.org/ro/crate/1.1/context",
        "https://w3id.org/ro/terms/workflow-run/context",
    ]
    graph = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(graph) == len(crate["@graph"]), "every @id is described once"
    return graph


def types(entity: dict[str, Any]) -> set[str]:
    return {entity["@type"]} if isinstance(entity["@type"], str) else set(entity["@type"])


def references(value: Any) -> list[str]:
    if isinstance(value, dict) and value.keys() == {"@id"}:
        return [value["@id"]]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [name for one in inner for name in references(one)]


def check_structure(folder: Path, graph: dict[str, dict[str, Any]]) -> None:
    """What RO-Crate 1.1, Workflow RO-Crate 1.0 and the process and workflow run profiles 0.5 say MUST be there."""
    descriptor = graph["ro-crate-metadata.json"]
    assert types(descriptor) == {"CreativeWork"}
    assert descriptor["about"] == {"@id": "./"}
    assert {"@id": "https://w3id.org/ro/crate/1.1"} in descriptor["conformsTo"]
    root = graph["./"]
    assert types(root) == {"Dataset"}
    assert root.keys() >= {"name", "description", "datePublished", "license", "conformsTo", "hasPart", "mainEntity"}
    assert {one["@id"] for one in root["conformsTo"]} == {PROCESS, WORKFLOW, WORKFLOW_CRATE}
    assert all("CreativeWork" in types(graph[profile["@id"]]) for profile in root["conformsTo"])
    main = graph[root["mainEntity"]["@id"]]
    assert types(main) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert "ComputerLanguage" in types(graph[main["programmingLanguage"]["@id"]])
    (action_name,) = references(root["mentions"])
    action = graph[action_name]
    assert types(action) == {"CreateAction"}
    assert action["instrument"] == root["mainEntity"]
    assert action.keys() >= {"name", "description", "startTime", "endTime", "object", "result"}
    known = {"File", "Dataset", "CreativeWork", "PropertyValue"}
    assert all(types(graph[name]) & known for name in references([action["object"], action["result"]]))
    files = {name for name, entity in graph.items() if "File" in types(entity)}
    assert files == set(references(root["hasPart"]))
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert on_disk == files | {"ro-crate-metadata.json"}
    for name in files:
        assert graph[name]["sha256"] == sha256((folder / name).read_bytes()).hexdigest()
    assert set(references(list(graph.values()))) <= graph.keys() | {"https://w3id.org/ro/crate/1.1"}


def test_a_run_becomes_a_workflow_run_crate(project: Path, run_facts: RunFacts, tmp_path: Path) -> None:
    entry = entry_of(project, run_facts)
    metadata = ro_crate(entry, project, tmp_path / "crate")
    graph = read(metadata)
    check_structure(tmp_path / "crate", graph)
    action = graph["#run-b7e1c2"]
    assert (action["startTime"], action["endTime"]) == (
        "2026-01-02T03:04:05+00:00",
        "2026-01-02T03:04:06+00:00",
    )
    assert references(action["result"]) == [
        "results/runs/quickstart/mask.safetensors",
        "results/runs/quickstart/metrics.json",
        "#metric-accuracy",
        "#metric-loss",
    ]
    data, split, statistics, extractor, start, spec, patch = (graph[name] for name in references(action["object"]))
    assert (data["sha256"], data["@type"]) == (run_facts.data[0].sha256, "CreativeWork")
    assert (split["sha256"], split["@type"]) == (run_facts.splits[0].sha256, "CreativeWork")
    assert (statistics["name"], extractor["name"]) == ("train", "lab_classifier")
    assert (start["name"], start["sha256"]) == ("w.pth", run_facts.starts[0].sha256)
    assert (spec["@id"], patch["@id"]) == ("inputs/specs/quickstart.yaml", "code.patch")
    assert graph["#metric-accuracy"]["value"] == 0.875
    assert graph["#metric-loss"]["value"] == "inf"
    assert graph["pkg:pypi/torch@2.14.1"]["softwareVersion"] == "2.14.1"
    assert "pkg:pypi/torch@2.14.1" in references(graph["spec.json"]["softwareRequirements"])
    assert json.loads((tmp_path / "crate" / "spec.json").read_text()) == run_facts.spec
    assert json.loads((tmp_path / "crate" / "statement.json").read_text()) == entry.statement
    assert graph["statement.json"]["about"] == {"@id": "#run-b7e1c2"}


@pytest.mark.parametrize(("about", "told"), [("Why not.", "Why not."), ("", "The resolved spec, defaults included.")])
def test_the_workflow_is_told_in_the_words_of_the_spec(
    project: Path, run_facts: RunFacts, tmp_path: Path, about: str, told: str
) -> None:
    run = replace(run_facts, spec={**run_facts.spec, "about": about})
    workflow = read(ro_crate(entry_of(project, run), project, tmp_path / "crate"))["spec.json"]
    assert (workflow["name"], workflow["description"]) == ("quickstart", told)
    assert workflow["encodingFormat"] == "application/json"


def test_a_crate_without_any_file_of_the_run_still_has_its_structure(run_facts: RunFacts, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    empty = replace(
        run_facts, data=(), statistics=(), extractors=(), starts=(), spec_file=None, code=Code("0" * 64), metrics={}
    )
    for number, run in enumerate((run_facts, empty)):
        out = tmp_path / f"crate{number}"
        graph = read(ro_crate(entry_of(bare, run), bare, out))
        check_structure(out, graph)
        assert references(graph["./"]["hasPart"]) == ["spec.json", "statement.json"], (
            "the resolved spec is always there"
        )


def test_two_files_of_one_content_are_both_there(project: Path, run_facts: RunFacts, tmp_path: Path) -> None:
    copy = replace(run_facts.subjects[0], name="copy", path="runs/a copy#1.safetensors")
    (project / "runs" / "a copy#1.safetensors").write_text("mask")
    metadata = ro_crate(
        entry_of(project, replace(run_facts, subjects=(*run_facts.subjects, copy))), project, tmp_path / "c"
    )
    named = "results/runs/a%20copy%231.safetensors"
    assert named in references(read(metadata)["#run-b7e1c2"]["result"])
    assert (tmp_path / "c" / "results" / "runs" / "a copy#1.safetensors").is_file()


def test_a_licence_that_is_given_is_named(project: Path, run_facts: RunFacts, tmp_path: Path) -> None:
    licence = "https://spdx.org/licenses/CC-BY-4.0"
    metadata = ro_crate(entry_of(project, run_facts), project, tmp_path / "crate", licence=licence)
    graph = read(metadata)
    assert graph["./"]["license"] == {"@id": licence}
    assert licence in graph


@pytest.mark.parametrize("licence", ["CC-BY-4.0", "./LICENSE", "#licence", "https://", "https://a b"])
def test_a_licence_that_is_no_uri_is_refused_before_anything_is_written(
    project: Path, run_facts: RunFacts, tmp_path: Path, licence: str
) -> None:
    with pytest.raises(LedgerError, match="by its URI") as refused:
        ro_crate(entry_of(project, run_facts), project, tmp_path / "crate", licence=licence)
    assert "spdx.org" in refused.value.mend
    assert not (tmp_path / "crate").exists()


def test_weights_to_start_from_that_lie_in_the_project_are_files_of_the_crate(
    project: Path, run_facts: RunFacts, tmp_path: Path
) -> None:
    (project / "weights").mkdir()
    (project / "weights" / "w.pth").write_text("start")
    start = replace(run_facts.starts[0], path="weights/w.pth")
    out = tmp_path / "crate"
    graph = read(ro_crate(entry_of(project, replace(run_facts, starts=(start,))), project, out))
    check_structure(out, graph)
    assert "inputs/weights/w.pth" in references(graph["#run-b7e1c2"]["object"])


def test_the_same_entry_gives_the_same_crate(project: Path, run_facts: RunFacts, tmp_path: Path) -> None:
    entry = entry_of(project, run_facts)
    first, second = (ro_crate(entry, project, tmp_path / name).read_bytes() for name in ("a", "b"))
    assert first == second


def test_a_file_that_is_not_what_was_recorded_stops_the_export(
    project: Path, run_facts: RunFacts, tmp_path: Path
) -> None:
    mask = project / "runs" / "quickstart" / "mask.safetensors"
    recorded = mask.read_bytes()
    mask.write_text("another mask")
    entry = entry_of(project, run_facts)
    with pytest.raises(CorruptFile, match="mask is not the file"):
        ro_crate(entry, project, tmp_path / "crate")
    mask.write_bytes(recorded)
    assert ro_crate(entry, project, tmp_path / "crate").is_file(), (
        "nothing was left behind that blocks the next attempt"
    )


def test_a_blob_that_is_not_what_was_recorded_stops_the_export(
    project: Path, run_facts: RunFacts, tmp_path: Path
) -> None:
    (project / ".ticketlab" / "blobs" / run_facts.code.patch.sha256).write_text("another patch")
    with pytest.raises(CorruptFile, match="patch"):
        ro_crate(entry_of(project, run_facts), project, tmp_path / "crate")
    assert not (tmp_path / "crate" / "code.patch").exists(), "hashed before it is copied"


def test_nothing_outside_the_project_is_copied(project: Path, run_facts: RunFacts, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (project / "link").symlink_to(tmp_path / "secret")
    stolen = Artifact("stolen", sha256(b"secret").hexdigest(), path="link")
    with pytest.raises(LedgerError, match="out of the project"):
        ro_crate(entry_of(project, replace(run_facts, subjects=(stolen,))), project, tmp_path / "crate")
    statement = provenance(run_facts)
    statement["subject"][0]["annotations"]["path"] = "../secret"
    with pytest.raises(LedgerError):
        ro_crate(Chain(project / "ledger.jsonl").append(statement), project, tmp_path / "other")


def test_a_digest_that_leads_out_of_the_blobs_copies_nothing(
    project: Path, run_facts: RunFacts, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    statement = provenance(run_facts)
    dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    next(one for one in dependencies if one["name"] == "patch")["digest"]["sha256"] = str(tmp_path / "secret")
    with pytest.raises(LedgerError, match="patch: not a sha256"):
        ro_crate(Chain(project / "ledger.jsonl").append(statement), project, tmp_path / "crate")
    assert not (tmp_path / "crate").exists()


def test_a_folder_that_holds_something_is_not_written_to(project: Path, run_facts: RunFacts, tmp_path: Path) -> None:
    (tmp_path / "crate").mkdir()
    (tmp_path / "crate" / "mine").write_text("")
    with pytest.raises(EnvironmentProblem, match="not empty"):
        ro_crate(entry_of(project, run_facts), project, tmp_path / "crate")
    with pytest.raises(EnvironmentProblem, match="not empty"):
        ro_crate(entry_of(project, run_facts), project, tmp_path / "crate" / "mine")


def test_a_patch_that_was_not_kept_is_left_out(project: Path, run_facts: RunFacts, tmp_path: Path) -> None:
    code = Code("0" * 64, "a" * 40, "b" * 40, Blob("2" * 64, 10**9, kept=False))
    out = tmp_path / "crate"
    graph = read(ro_crate(entry_of(project, replace(run_facts, code=code)), project, out))
    check_structure(out, graph)
    assert "code.patch" not in graph
    assert not (out / "code.patch").exists()


def test_a_bundle_holds_one_statement_a_line(project: Path, run_facts: RunFacts) -> None:
    entries = [entry_of(project, run_facts), entry_of(project, replace(run_facts, run="second"))]
    lines = list(intoto(entries))
    assert [json.loads(line) for line in lines] == [entry.statement for entry in entries]
    assert all(line == canonical_json(json.loads(line)) + b"\n" for line in lines)


def test_a_signed_bundle_holds_one_envelope_a_line(project: Path, run_facts: RunFacts) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    from ticketlab.ledger.signing import sign, verify

    private, public, key = project / "key.pem", project / "public.pem", Ed25519PrivateKey.generate()
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    entry = entry_of(project, run_facts)
    (line,) = intoto([entry], lambda statement: sign(statement, private))
    envelope = json.loads(line)
    assert json.loads(verify(envelope, public)) == entry.statement
    assert b64decode(envelope["payload"]) == canonical_json(entry.statement)
