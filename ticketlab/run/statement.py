"""A finished arm as the ledger states it: what was asked, with what, by which code, and what came out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ticketlab.errors import TrackingError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger.facts import Artifact, Code, RunFacts, StepFact, Surroundings
from ticketlab.plan.experiment import ArmAddress, Plan
from ticketlab.plan.inputs import PREPARED
from ticketlab.plan.sources import source_digest
from ticketlab.plan.steps import Step, Transfer
from ticketlab.run.project import Project
from ticketlab.run.published import ArmResult, place_of, place_of_statistics, run_id
from ticketlab.run.store import Store
from ticketlab.run.within import within
from ticketlab.spec.pinned_file import PinnedFile
from ticketlab.spec.start import StartChoice
from ticketlab.tracking.pipeline import md5_of


def run_facts(
    plan: Plan,
    address: ArmAddress,
    result: ArmResult,
    started: datetime,
    code: Code,
    project: Project,
    store: Store,
) -> RunFacts:
    """Everything one ledger statement says of a finished arm; machine and packages are those of its training, and each step has its own."""
    spec = address.cell.spec
    made_on = store.result(address.plan.final.train).surroundings
    folder = project.runs / plan.name
    final = address.plan.final
    steps = list(address.plan.steps())
    return RunFacts(
        run=run_id(address, project),
        cell=f"{plan.name}/{address.name}",
        arm=address.plan.arm,
        subjects=tuple(
            Artifact(name, digest, path=place_of(folder, address.name, name).relative_to(project.root).as_posix())
            for name, digest in result.sha256.items()
        ),
        spec=spec.asks(),
        device=made_on["device"],
        precision=spec.compute.precision,
        determinism=made_on["determinism"],
        machine=made_on["machine"],
        code=replace(code, meaning=source_digest(_modules(steps))),
        packages=made_on["packages"],
        started=started,
        finished=datetime.now(UTC),
        spec_file=Artifact(plan.file.name, plan.text_sha256) if plan.text_sha256 else None,
        data=(Artifact(spec.data.dataset, final.train.images.digest, _md5_of_data(project.root), "data"),),
        splits=tuple(_splits(address)),
        statistics=tuple(_statistics_of(steps, store, folder, project.root)),
        extractors=tuple(_extractors_of(steps, store, folder, project.root)),
        starts=tuple(_starts_of(steps, store)),
        steps=tuple(
            StepFact(
                f"{number}. {step.title}", step.digest, found.files, _surroundings(found.surroundings), found.inputs
            )
            for number, (step, found) in enumerate(zip(steps, map(store.result, steps), strict=True), 1)
        ),
        metrics=dict(result.metrics),
        main_metric=next(iter(result.metrics), None),
        density=None if final.mask is None else result.density,
        collapsed=dict(result.collapsed),
    )


def _md5_of_data(root: Path) -> str | None:
    """DVC's name for data/; None where its files cannot be read, which DVC says itself when it is given the checkpoints."""
    try:
        return md5_of(root, "data")
    except TrackingError:
        return None


def _splits(address: ArmAddress) -> Iterator[Artifact]:
    """The files of the dataset that the plan was made for; every step that read one compared it with these digests."""
    dataset = address.cell.spec.data.dataset
    for file, digest in sorted(address.cell.files.items()):
        name = f"{dataset}/{file}"
        yield Artifact(name, digest, path=f"data/{name}")


def _modules(steps: Sequence[Step]) -> tuple[str, ...]:
    """The modules that do the work of all these steps."""
    return tuple(sorted({module for step in steps for module in step.sources()}))


def _starts_of(steps: Sequence[Step], store: Store) -> Iterator[Artifact]:
    """Files of weights trained elsewhere, as the steps that read them describe them, and the file of a ticket."""
    for step in steps:
        if step.kind == "start":
            found = json.loads(store.result(step).path("start.json").read_bytes())
            origin = found["url"] or f"a file with the names of {found['names']}"
            yield Artifact(found["file"], found["sha256"], origin=origin)
        if isinstance(step, Transfer):
            yield Artifact(Path(step.ticket.file).name, step.ticket.sha256, origin="the file of a ticket")


def _statistics_of(steps: Sequence[Step], store: Store, folder: Path, root: Path) -> Iterator[Artifact]:
    """The reference statistics, which are published in `folder`, and what objectives prepared, which is not."""
    for step in steps:
        if step.kind == "statistics":
            path = place_of_statistics(folder, step, "statistics.npz").relative_to(root).as_posix()
            yield Artifact("statistics.npz", store.result(step).files["statistics.npz"], path=path)
    for step in steps:
        if step.kind == "prepared":
            yield Artifact(PREPARED, store.result(step).files[PREPARED])


def _extractors_of(steps: Sequence[Step], store: Store, folder: Path, root: Path) -> Iterator[Artifact]:
    """The networks that images were measured through, and those that objectives looked through: trained, or files."""
    for kind, name in (("statistics", "extractor.safetensors"), ("prepared", "looks_through.safetensors")):
        for step in steps:
            if step.kind == kind and "extractor" in step.inputs:
                weights = store.result(step.inputs["extractor"]).files["weights.safetensors"]
                place = place_of_statistics(folder, step, name) if kind == "statistics" else None
                yield Artifact(name, weights, path=place.relative_to(root).as_posix() if place else None)
    through = [getattr(step, "extractor", None) for step in steps]
    # Files that a model starts from, an extractor's too, are listed by the steps that read them.
    files = [file for one in through for file in within(one, PinnedFile) if not isinstance(file, StartChoice)]
    for digest, file in {file.sha256: file for file in files}.items():
        yield Artifact(Path(file.file).name, digest, origin="a file that the spec fixes by its sha256")


def _surroundings(noted: Mapping[str, Any]) -> Surroundings:
    """What a step ran on, as the store noted it when the step was done: on this machine or another."""
    packages = sha256_bytes(canonical_json(noted["packages"]))
    return Surroundings(noted["device"], noted["determinism"], noted["machine"], packages)
