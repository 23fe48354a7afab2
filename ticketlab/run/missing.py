"""What a run needs that is not on this machine: images, and files of weights; known before the first step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ticketlab.datasets.manifest import missing, pack_folder, read_manifest
from ticketlab.datasets.places import pictures_of
from ticketlab.errors import DataError
from ticketlab.made import made
from ticketlab.plan.steps import Start, Step
from ticketlab.run.reading import at_hand
from ticketlab.run.wanted_file import WEIGHTS, WantedFile, pinned
from ticketlab.spec.pinned_file import PinnedFile
from ticketlab.spec.start import StartChoice
from ticketlab.tracking import dvc

if TYPE_CHECKING:
    from ticketlab.plan.experiment import ArmAddress
    from ticketlab.run.project import Project


class Missing(DataError):
    """All that is missing, a message each."""

    def __init__(self, problems: list[DataError]) -> None:
        super().__init__("; ".join(problem.what for problem in problems))
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


Planned = Iterable[tuple["ArmAddress", Step]]


def refuse_missing(project: Project, steps: Planned) -> None:
    """`Missing` if something is that one of these steps reads."""
    found = all_missing(project, steps)
    if found:
        raise Missing(found)


def all_missing(project: Project, steps: Planned) -> list[DataError]:
    """An error for each thing that a step reads and that is not there, or is another; one, however many steps read it.

    What a run fetches by itself, from the DVC remote or from where it is published, is not missing.
    """
    found: dict[str, DataError] = {}
    every = list(steps)
    for name in dict.fromkeys(address.cell.spec.data.dataset for address, _ in every):
        if not is_pulled_by_a_run(name, project):
            found.update((str(problem), problem) for problem in _images_missing(name, project))
    wanted = dict.fromkeys(file for _, step in every for file in _files_of(step, project))
    for file in wanted:
        try:
            if file.at_hand() or not file.url:
                file.checked()
        except DataError as problem:
            found[str(problem)] = problem
    return list(found.values())


def is_pulled_by_a_run(dataset: str, project: Project) -> bool:
    """Whether a dataset is not there, and a run in this project pulls it from the DVC remote first."""
    root = project.root
    here = (project.home(dataset) / "data" / dataset / "dataset.json").is_file()
    return not here and at_hand(dataset, root) and (root / "data.dvc").is_file() and not dvc.inside_stage()


def _images_missing(name: str, project: Project) -> Iterator[DataError]:
    home = project.home(name)
    try:
        manifest = read_manifest(home, name)
        if not all((pack_folder(home, name) / file).is_file() for file in manifest.files.values()):
            raise missing(home, name)
        if manifest.kept == "index":
            pictures_of(home, name)
    except DataError as problem:
        yield problem


def _files_of(step: Step, project: Project) -> Iterator[WantedFile]:
    """The files that a step reads: what its model starts from, or those of the choices it asks with."""
    if isinstance(step, Start) and step.model.start is not None:
        yield made(step.model.start.made_by)(step.model.start, step.model, project.home(WEIGHTS))
    for section in step.sections():
        if isinstance(section, PinnedFile) and not isinstance(section, StartChoice):
            yield pinned(section, project.home(WEIGHTS))
