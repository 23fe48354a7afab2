"""In-toto resource descriptors: how a statement names files, code and packages by their digests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger.facts import Artifact, Blob, Code, StepFact, Surroundings

Descriptor = dict[str, Any]

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def of_artifact(artifact: Artifact, kind: str) -> Descriptor:
    """A file or folder; `kind` says what part it plays.

    DVC's name for a folder is an MD5 with an ending, which a set of digests does not hold, so it is an annotation.
    """
    is_hash = artifact.md5 is not None and not artifact.md5.endswith(".dir")
    digest = {"sha256": artifact.sha256} | ({"md5": artifact.md5} if artifact.md5 and is_hash else {})
    annotations = {"kind": kind} | ({"path": artifact.path} if artifact.path else {})
    annotations |= {"dvc": artifact.md5} if artifact.md5 and not is_hash else {}
    annotations |= {"origin": artifact.origin} if artifact.origin else {}
    return {"name": artifact.name, "digest": digest, "annotations": annotations}


def artifact(found: Mapping[str, Any]) -> Artifact:
    """The artifact that `of_artifact` described."""
    digest, noted = found["digest"], found.get("annotations", {})
    md5 = digest.get("md5") or noted.get("dvc")
    return Artifact(found["name"], digest["sha256"], md5, noted.get("path"), noted.get("origin"))


def of_code(code: Code) -> list[Descriptor]:
    """The package's sources; inside git also the commit and tree, and the patch between them if there is one."""
    digest = {key: value for key, value in (("gitCommit", code.commit), ("gitTree", code.tree)) if value}
    noted = {"kind": "sources"} | ({"meaning": code.meaning} if code.meaning else {})
    described: list[Descriptor] = [{"name": "sources", "digest": {"sha256": code.sources}, "annotations": noted}]
    if digest:
        described.append({"name": "code", "digest": digest, "annotations": {"kind": "code"}})
    if code.patch:
        annotations = {"kind": "patch", "size": code.patch.size, "kept": code.patch.kept}
        described.append({"name": "patch", "digest": {"sha256": code.patch.sha256}, "annotations": annotations})
    return described


def code(found: Iterable[Mapping[str, Any]]) -> Code:
    """The code that `of_code` described, picked out of all dependencies."""
    parts = {one["annotations"]["kind"]: one for one in found}
    git = parts.get("code", {"digest": {}})["digest"]
    patch = None
    if "patch" in parts:
        noted = parts["patch"]["annotations"]
        patch = Blob(parts["patch"]["digest"]["sha256"], int(noted["size"]), bool(noted["kept"]))
    sources = parts["sources"]
    meaning = sources["annotations"].get("meaning")
    return Code(sources["digest"]["sha256"], git.get("gitCommit"), git.get("gitTree"), patch, meaning)


def of_values(name: str, values: Mapping[str, Any], **more: Any) -> Descriptor:
    """Values small enough to stand in the statement itself, with the digest of their canonical JSON."""
    annotations = {"kind": name, "values": dict(values), **more}
    return {"name": name, "digest": {"sha256": sha256_bytes(canonical_json(values))}, "annotations": annotations}


def values(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values that `of_values` described; ValueError if the digest beside them is not theirs."""
    stated: Mapping[str, Any] = found["annotations"]["values"]
    if sha256_bytes(canonical_json(stated)) != found["digest"]["sha256"]:
        raise ValueError(f"the digest of {found['name']!r} is not that of its values")
    return stated


def of_surroundings(surroundings: Surroundings) -> dict[str, Any]:
    """What a step ran on; the packages by digest alone, as in the descriptor of that name."""
    return {
        "device": surroundings.device,
        "determinism": dict(surroundings.determinism),
        "machine": dict(surroundings.machine),
        "packages": {"sha256": surroundings.packages},
    }


def surroundings(found: Mapping[str, Any]) -> Surroundings:
    """The surroundings that `of_surroundings` described."""
    return Surroundings(found["device"], found["determinism"], found["machine"], found["packages"]["sha256"])


def of_steps(steps: Sequence[StepFact]) -> tuple[list[dict[str, Any]], list[Descriptor]]:
    """All distinct surroundings, each once, and the steps, each with the position of its own in that list."""
    distinct: list[dict[str, Any]] = []
    described = []
    for step in steps:
        around = of_surroundings(step.surroundings)
        if around not in distinct:
            distinct.append(around)
        noted = {"identity": step.identity, "surroundings": distinct.index(around), "inputs": dict(step.inputs)}
        one = of_values(step.name, step.outputs, **noted)
        described.append(one | {"annotations": one["annotations"] | {"kind": "step"}})
    return distinct, described


def step(found: Mapping[str, Any], distinct: Sequence[Mapping[str, Any]]) -> StepFact:
    """One of the steps that `of_steps` described; ValueError for a position that is not in the list."""
    noted = found["annotations"]
    position = noted["surroundings"]
    if type(position) is not int or not 0 <= position < len(distinct):
        raise ValueError(f"surroundings {position!r} of {len(distinct)}")
    around = surroundings(distinct[position])
    # Ledgers from before steps said what they read go on being read.
    return StepFact(found["name"], noted["identity"], dict(values(found)), around, dict(noted.get("inputs", {})))


def spelt(value: float) -> float | str:
    """A number as JSON can hold it: NaN and the infinities become words."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def number(spelling: float | str) -> float:
    """The number that `spelt` wrote."""
    return _NOT_FINITE[spelling] if isinstance(spelling, str) else spelling
