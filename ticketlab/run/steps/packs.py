"""The one way from a step to its dataset: what is handed out is what the plan was made for, or nothing is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ticketlab.datasets.manifest import Manifest, read_manifest
from ticketlab.datasets.pack import Split, read_split
from ticketlab.errors import StepFailed

if TYPE_CHECKING:
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.task import Split as SplitName


def planned_manifest(dataset: str, digest: str, place: Workplace) -> Manifest:
    """What the pack of a dataset says of itself; StepFailed if the plan was made for another one (`digest`)."""
    manifest = read_manifest(place.home(dataset), dataset)
    if manifest.content != digest:
        raise StepFailed(
            f"data/{dataset} is not the dataset that this run was planned for: it was replaced meanwhile",
            where=str(place.home(dataset) / "data" / dataset),
            mend="run the same command again",
        )
    return manifest


def planned_split(dataset: str, digest: str, split: SplitName, place: Workplace) -> Split:
    """A whole split, on the CPU, its file compared with the very manifest that the plan was made for."""
    manifest = planned_manifest(dataset, digest, place)
    return read_split(place.home(dataset), dataset, split, manifest=manifest)
