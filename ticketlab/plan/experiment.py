"""A whole spec as a plan: cells, their arms, and the steps these share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ticketlab.cores import available_cores
from ticketlab.datasets.manifest import Manifest, read_manifest
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.plan.arm import ArmPlan
from ticketlab.plan.cell import CellPlanner
from ticketlab.plan.limiting import limited, numbers_of
from ticketlab.plan.steps import Images, Step
from ticketlab.spec.identity import identity
from ticketlab.spec.labelling import label_kind

if TYPE_CHECKING:
    from ticketlab.spec.loading import Cell, LoadedSpec
    from ticketlab.spec.spec import Spec


@dataclass(frozen=True)
class CellPlan:
    """One cell: its resolved spec, the values its matrix gave it, a plan per arm, and the sha256 of its dataset's files.

    `threads` is the number of CPU threads that its steps ask for, whether the spec names it or it was counted.
    """

    name: str
    labels: dict[str, object]
    spec: Spec
    threads: int
    arms: tuple[ArmPlan, ...]
    files: Mapping[str, str]


@dataclass(frozen=True)
class ArmAddress:
    """An arm within an experiment: the smallest thing that has a result."""

    cell: CellPlan
    plan: ArmPlan

    @property
    def name(self) -> str:
        """Cell and arm, as in "seed-0/ticket", or the arm alone where there is no matrix."""
        return f"{self.cell.name}/{self.plan.arm}" if self.cell.name else self.plan.arm

    @property
    def digest(self) -> str:
        """sha256 of what is asked and of every step it takes: equal digests are the same run."""
        trainings = (*self.plan.rounds, self.plan.final)
        steps = [step.digest for trained in trainings for step in trained.measured()[1:]]
        return sha256_bytes(canonical_json({"spec": identity(self.cell.spec), "arm": self.plan.arm, "steps": steps}))


@dataclass(frozen=True)
class Plan:
    """Everything a spec asks for, in order."""

    name: str
    file: Path
    text_sha256: str
    cells: tuple[CellPlan, ...]

    def arms(self) -> Iterator[ArmAddress]:
        """Every arm of every cell."""
        for cell in self.cells:
            for arm in cell.arms:
                yield ArmAddress(cell, arm)

    def steps(self) -> Iterator[tuple[ArmAddress, Step]]:
        """Every step once, in an order in which it can be done, with the first arm that needs it."""
        seen: set[str] = set()
        for address in self.arms():
            for step in address.plan.steps():
                if step.digest not in seen:
                    seen.add(step.digest)
                    yield address, step


Describe = Callable[[Path, str], Manifest]
"""From a folder with data/ and the name of a dataset to what is planned on."""


def plan(
    loaded: LoadedSpec, home: Callable[[str], Path], name: str | None = None, describe: Describe = read_manifest
) -> Plan:
    """The plan of a loaded, resolved spec; pure but for reading manifests; `home(dataset)` is the folder whose data/ has it.

    `name` is the folder its results go to; the spec's own by default.
    """
    cells = tuple(plan_cell(cell, home, describe=describe) for cell in loaded.cells)
    return Plan(name or loaded.spec.name, loaded.file, loaded.text_sha256, cells)


def plan_cell(
    cell: Cell, home: Callable[[str], Path], threads: int | None = None, describe: Describe = read_manifest
) -> CellPlan:
    """The plan of one resolved cell; `threads` is the number of them where its spec names none, by default this machine's."""
    spec = cell.spec
    manifest = describe(home(spec.data.dataset), spec.data.dataset)
    assert spec.data.size is not None, "the spec was not resolved"
    assert spec.data.scaling is not None, "the spec was not resolved"
    chosen = numbers_of(spec.data.classes)
    images = Images(
        dataset=spec.data.dataset,
        digest=manifest.content,
        channels=manifest.channels,
        classes=len(chosen or manifest.classes),
        size=spec.data.size,
        fit=spec.data.fit,
        scaling=spec.data.scaling,
        labels=label_kind(manifest.labels),
        opened_by=manifest.opened_by,
        chosen=chosen,
    )
    asked = spec.compute.threads or threads or available_cores()
    planner = CellPlanner(_counted(spec, asked), images, limited(spec, images, manifest.counts["train"]))
    return CellPlan(cell.name, dict(cell.labels), spec, asked, planner.arms(), _files(manifest))


def _files(manifest: Manifest) -> dict[str, str]:
    """The files that hold the splits, or say where they are: sha256 by name."""
    return {manifest.files[split]: digest for split, digest in manifest.sha256.items()}


def _counted(spec: Spec, threads: int) -> Spec:
    """The spec with a number of threads: whoever does the work, uses as many.

    What was asked stays as it is, so the spec has one identity on every machine. Its steps, and so the run, have not
    where numbers of cores differ: on a CPU another number of threads may sum in another order.
    """
    return spec.model_copy(update={"compute": spec.compute.model_copy(update={"threads": threads})})
