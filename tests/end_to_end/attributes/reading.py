"""A reader that yields attributes: small faces, bright where they smile, striped where they wear a hat."""

from __future__ import annotations

from pathlib import Path

import torch

from attributes.labels import MultiHot
from ticketlab.datasets.manifest import Manifest, SplitName
from ticketlab.datasets.pack import Split, write_pack

NAMES = ("smiling", "hat", "glasses")


def read(count: int, seed: int) -> Split:
    source = torch.Generator().manual_seed(seed)
    attributes = torch.randint(0, 2, (count, len(NAMES)), generator=source, dtype=torch.uint8)
    images = torch.randint(0, 20, (count, 1, 8, 8), generator=source, dtype=torch.uint8)
    for number in range(len(NAMES)):
        images[attributes[:, number] == 1, :, number] += 200
    return Split(images, attributes, MultiHot())


def add(project: Path) -> Manifest:
    splits: dict[SplitName, Split] = {"train": read(80, 1), "test": read(40, 2)}
    return write_pack(project, "faces", splits, class_names=NAMES, licence="none", source="drawn")
