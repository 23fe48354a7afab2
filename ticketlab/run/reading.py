"""Reading a spec in the project it lies in: checked, every null resolved; nothing is planned or imported for a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ticketlab.datasets.places import are_pictures_here
from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import SpecError
from ticketlab.run.project import Project
from ticketlab.run.within import within
from ticketlab.spec.catalog import PINS, DatasetFacts, facts
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.loading import LoadedSpec, load
from ticketlab.spec.pinned_file import PinnedFile
from ticketlab.spec.resolve import resolve
from ticketlab.spec.smoke import smoke
from ticketlab.spec.spec import Spec
from ticketlab.spec.start import StartChoice


def load_spec(file: Path, overrides: Sequence[str] = (), project: Project | None = None) -> LoadedSpec:
    """Read and check a spec, every null resolved; torch-free unless `project` is one for smoke runs, which are tiny.

    `overrides` are "path=value" texts. Raises `SpecError` with file, line and column.
    """
    within = project or Project.around(file.parent)

    def resolved(spec: Spec) -> Spec:
        try:
            dataset = facts(spec.data.dataset, within.root)
        except SpecError as unknown:
            raise Impossible(("data", "dataset"), unknown.what, unknown.mend) from None
        found = resolve(spec, dataset)
        return _at_smoke_size(found, dataset, within) if within.smoke else found

    return load(file, overrides, resolve=resolved)


def _at_smoke_size(spec: Spec, dataset: DatasetFacts, project: Project) -> Spec:
    """The spec made tiny, on noise in the dataset's shape and layout where dataset or weights are not at hand."""
    tiny = smoke(spec, dataset)
    if any(within(tiny, PinnedFile)) or any(within(tiny, StartChoice)):
        from ticketlab.run.stand_in_weights import with_stand_ins

        assert tiny.data.size is not None, "the spec was not resolved"
        shape = ImageShape(dataset.channels, tiny.data.size, len(tiny.data.classes or ()) or dataset.classes)
        tiny = with_stand_ins(tiny, shape, project)
    if at_hand(dataset.name, project.root) and are_pictures_here(project.root, dataset.name):
        return tiny
    from ticketlab.datasets.synthetic import stand_in

    return tiny.model_copy(update={"data": tiny.data.model_copy(update={"dataset": stand_in(dataset, project.lab)})})


def at_hand(dataset: str, root: Path) -> bool:
    """Whether a pack is there, or in the DVC remote that this project's pins come from."""
    pins = root / PINS
    pinned = pins.is_file() and dataset in json.loads(pins.read_bytes())
    return (root / "data" / dataset / "dataset.json").is_file() or pinned
