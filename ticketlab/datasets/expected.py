"""What a known dataset will be like, so that its runs can be planned before it is there."""

from __future__ import annotations

from pathlib import Path

from ticketlab.datasets.manifest import Manifest, pack_folder, read_manifest
from ticketlab.spec.catalog import KNOWN

UNKNOWN = "0" * 64
"""In place of a digest that is known only when the dataset is there."""


def expected_manifest(project: Path, name: str) -> Manifest:
    """The manifest of a dataset, as `read_manifest` has it; for a known one that is not there, from the catalogue.

    Digests and moments that the catalogue does not have are `UNKNOWN` and 0: no step that was planned on them is
    performed, since none finds the dataset that it was planned for.
    """
    known = KNOWN.get(name)
    if known is None or known.pinned or (pack_folder(project, name) / "dataset.json").is_file():
        return read_manifest(project, name)
    nothing = (0.0,) * known.channels
    return Manifest(
        name=name,
        channels=3 if known.channels == 3 else 1,
        size=known.size,
        labels=known.labels,
        classes=known.class_names or tuple(map(str, range(known.classes))),
        counts={"train": known.train, "test": known.test},
        mean=nothing,
        std=nothing,
        licence=known.licence,
        source=known.source,
        sha256={"train": UNKNOWN, "test": UNKNOWN},
        kept="index" if known.streamed else "pack",
    )
