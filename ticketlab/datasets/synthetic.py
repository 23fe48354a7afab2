"""Stand-ins for datasets that are not at hand: noise in their shape, for smoke runs only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ticketlab.datasets.manifest import SplitName
from ticketlab.datasets.pack import SPLITS, Split, write_pack
from ticketlab.randomness import Key

if TYPE_CHECKING:
    from ticketlab.spec.catalog import DatasetFacts

PREFIX = "noise-like-"
"""What the name of a stand-in begins with, so that nobody takes its numbers for results."""

PER_CLASS = 8
LEAST = 128


def stand_in(dataset: DatasetFacts, home: Path) -> str:
    """The name of a pack of noise images in the shape of `dataset`, written under `home`/data if it is not there."""
    name = PREFIX + dataset.name
    if not (home / "data" / name / "dataset.json").is_file():
        count = max(LEAST, PER_CLASS * dataset.classes)
        labels = torch.arange(count) % dataset.classes
        shape = (count, dataset.channels, dataset.size, dataset.size)
        splits: dict[SplitName, Split] = {}
        for split in SPLITS:
            generator = Key(0).of("stand-in", dataset.name, split).generator()
            splits[split] = Split(torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8), labels)
        classes = dataset.class_names or tuple(map(str, range(dataset.classes)))
        write_pack(home, name, splits, class_names=classes, licence="none: noise", source="made by a smoke run")
    return name
