"""The one way from a step to its dataset: what is handed out is what the plan was made for, or nothing is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from ticketlab.datasets.chosen import Chosen
from ticketlab.datasets.manifest import Manifest, read_manifest
from ticketlab.errors import StepFailed
from ticketlab.made import made

if TYPE_CHECKING:
    import torch

    from ticketlab.datasets.image_set import ImageSet
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.task import Split as SplitName


ALL = Chosen()


def planned_manifest(dataset: str, digest: str, place: Workplace) -> Manifest:
    """What the folder of a dataset says of itself; StepFailed if the plan was made for another one (`digest`)."""
    manifest = read_manifest(place.home(dataset), dataset)
    if manifest.content != digest:
        raise StepFailed(
            f"data/{dataset} is not the dataset that this run was planned for: it was replaced meanwhile",
            where=str(place.home(dataset) / "data" / dataset),
            mend="run the same command again",
        )
    return manifest


def planned_images(
    dataset: str,
    digest: str,
    split: SplitName,
    place: Workplace,
    device: torch.device,
    *,
    size: int | None = None,
    fit: Literal["resize", "pad"] = "resize",
    chosen: Chosen = ALL,
    workers: int = 0,
) -> ImageSet:
    """A split, or the images of it that are `chosen`, its file compared with the very manifest of the plan."""
    manifest = planned_manifest(dataset, digest, place)
    opened = made(manifest.opened_by)(place.home(dataset), manifest, split, size, fit, chosen, device, workers)
    return cast("ImageSet", opened)
