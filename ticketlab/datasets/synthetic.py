"""Stand-ins for datasets that are not at hand: noise in their shape, for smoke runs only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ticketlab.datasets.labels import labelling_of
from ticketlab.datasets.manifest import SplitName
from ticketlab.datasets.pack import SPLITS, Split, write_pack
from ticketlab.datasets.shape import ImageShape
from ticketlab.randomness import Key

if TYPE_CHECKING:
    from ticketlab.spec.catalog import DatasetFacts

PREFIX = "noise-like-"
"""What the name of a stand-in begins with, so that nobody takes its numbers for results."""

PER_CLASS = 8
LEAST = 128
ENOUGH = 2_000
"""Images from which on a class has fewer than `PER_CLASS`, though never less than two."""

LARGEST = 64
"""Side in pixels beyond which noise is not stored: a run that asks for more resizes it."""


def stand_in(dataset: DatasetFacts, home: Path) -> str:
    """The name of a pack of noise with labels like those of `dataset`, written under `home`/data if it is not there."""
    name = PREFIX + dataset.name
    if not (home / "data" / name / "dataset.json").is_file():
        count = max(LEAST, min(PER_CLASS * dataset.classes, max(ENOUGH, 2 * dataset.classes)))
        labelling = labelling_of(dataset.labels)
        shape = ImageShape(dataset.channels, min(dataset.size, LARGEST), dataset.classes)
        labels = labelling.example(count, shape)
        pixels = (count, shape.channels, shape.size, shape.size)
        splits: dict[SplitName, Split] = {}
        for split in SPLITS:
            generator = Key(0).of("stand-in", dataset.name, split).generator()
            noise = torch.randint(0, 256, pixels, generator=generator, dtype=torch.uint8)
            splits[split] = Split(noise, labels, labelling)
        classes = dataset.class_names or tuple(map(str, range(dataset.classes)))
        write_pack(home, name, splits, class_names=classes, licence="none: noise", source="made by a smoke run")
    return name
