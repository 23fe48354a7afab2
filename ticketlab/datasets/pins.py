"""The digests of a project's datasets in one small file that git tracks, so that a DVC stage can depend on the images.

DVC lets no stage depend on a .dvc file, and a dependency on data/ itself stops `dvc repro` in a fresh clone, where the
images are not there yet.
"""

from __future__ import annotations

from pathlib import Path

from ticketlab.datasets.manifest import read_manifest
from ticketlab.files import write_json
from ticketlab.spec.catalog import PINS


def write_pins(project: Path) -> Path:
    """Write the sha256 of every split of every pack under `data/` to specs/datasets.json; where it is."""
    names = sorted(path.parent.name for path in project.glob("data/*/dataset.json"))
    write_json(project / PINS, {name: dict(read_manifest(project, name).sha256) for name in names})
    return project / PINS
