"""What a finished arm left and where it is published; torch-free, so that "nothing to do" is said at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ticketlab.errors import CorruptFile
from ticketlab.files import parse_json, read_sealed, sha256_bytes, sha256_file, write_sealed
from ticketlab.plan.experiment import ArmAddress, Plan
from ticketlab.plan.steps import Step
from ticketlab.run.project import Project
from ticketlab.run.store import Store

VERSIONED = ("weights.safetensors", "ticket.safetensors")
"""Files that DVC versions; they lie apart from the others, under tickets/."""

STATEMENT = "statement.json"
"""The arm's entry in the ledger, beside its results."""

OVERVIEWS = ("results.md", "metrics.json", "curves.csv", "curves.png", "density.png")
"""Files about all arms: two that are always there, curves, and a picture where densities can be compared."""


@dataclass(frozen=True)
class ArmResult:
    """What an arm found: density of its mask (1 without), metrics by name, and the sha256 of what it left.

    `axes` has what the name of its cell calls the value of each axis of the matrix.
    `collapsed` has the layers of which nothing is left, with the round in which each died; 0 is in training.
    `multiply_adds` has those of each network in one forward of one image, under the mask and dense; nothing without mask.
    """

    name: str
    axes: Mapping[str, str]
    arm: str
    density: float
    metrics: Mapping[str, float]
    files: Mapping[str, Path]
    sha256: Mapping[str, str]
    layer_densities: Mapping[str, float]
    collapsed: Mapping[str, int]
    multiply_adds: Mapping[str, tuple[int, int]]


def place_of(folder: Path, arm: str, name: str) -> Path:
    """Where a file of an arm is published under `runs/<name>/`."""
    return folder / "tickets" / arm / name if name in VERSIONED else folder / arm / name


def place_of_statistics(folder: Path, step: Step, name: str) -> Path:
    """Where a file of reference statistics, which arms share, is published under `runs/<name>/`."""
    return folder / "statistics" / step.digest[:12] / name


def is_published(plan: Plan, address: ArmAddress, project: Project, store: Store) -> bool:
    """Whether an arm is finished and its files lie where they belong (their content is not looked at)."""
    final = address.plan.final
    steps = [trained.evaluate for trained in address.plan.rounds] + [final.train, final.evaluate]
    if not all(store.has(step) for step in steps):
        return False
    names = ["weights.safetensors", "metrics.json", *(["ticket.safetensors"] if final.mask else [])]
    names += [] if project.smoke else [STATEMENT]
    folder = project.runs / plan.name
    places = [place_of(folder, address.name, name) for name in names] + [folder / name for name in OVERVIEWS[:2]]
    return all(place.is_file() for place in places)


def close(plan: Plan, project: Project) -> None:
    """Note beside the results that this very plan, and none that came after it, was published, recorded, versioned."""
    write_sealed(_closing_note(plan, project), _closing(plan, project))


def reopen(plan: Plan, project: Project) -> None:
    """Take the note back before anything of the folder changes."""
    _closing_note(plan, project).unlink(missing_ok=True)


def is_closed(plan: Plan, project: Project) -> bool:
    """Whether the folder of this name holds the results of this plan, all of them."""
    try:
        return read_sealed(_closing_note(plan, project)) == _closing(plan, project)
    except (FileNotFoundError, ValueError):
        return False


def _closing_note(plan: Plan, project: Project) -> Path:
    return project.lab / "records" / f"{sha256_bytes(plan.name.encode())}.closed.json"


def _closing(plan: Plan, project: Project) -> dict[str, object]:
    metrics = project.runs / plan.name / "metrics.json"
    arms = [run_id(address, project) for address in plan.arms()]
    return {
        "name": plan.name,
        "arms": arms,
        "metrics": sha256_file(metrics) if metrics.is_file() else "",
        "steps": sorted({step.digest for _, step in plan.steps()}),
    }


def attempt_of(address: ArmAddress, project: Project) -> int:
    """How often an arm was asked for afresh; the run id of its record holds this number."""
    path = _attempts(address, project)
    try:
        return int(read_sealed(path)["attempt"])
    except FileNotFoundError:
        return 0
    except (ValueError, KeyError, TypeError) as error:
        mend = "remove it; the next record of this arm then counts as the first"
        raise CorruptFile("it cannot be told how often this arm was done", where=str(path), mend=mend) from error


def begin_afresh(plan: Plan, address: ArmAddress, project: Project) -> None:
    """Forget that an arm was recorded; its next record is one of its own."""
    write_sealed(_attempts(address, project), {"attempt": attempt_of(address, project) + 1})
    record_path(plan, address, project).unlink(missing_ok=True)


def run_id(address: ArmAddress, project: Project) -> str:
    """The lasting name of an arm's run: what is asked and by which code, and the attempt if it was asked afresh."""
    attempt = attempt_of(address, project)
    return f"{address.digest[:16]}-{attempt}" if attempt else address.digest[:16]


def _attempts(address: ArmAddress, project: Project) -> Path:
    return project.lab / "records" / f"{address.digest}.attempt.json"


def recorded_files(plan: Plan, address: ArmAddress, project: Project) -> dict[str, str] | None:
    """The sha256 of each file that an arm was recorded with under the plan's name; None if that is not known."""
    try:
        files = parse_json(record_path(plan, address, project).read_bytes())["files"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        # Recorded once more then: the ledger has one entry for the same files however often it is asked.
        return None
    return files if isinstance(files, dict) else None


def record_path(plan: Plan, address: ArmAddress, project: Project) -> Path:
    """Where it is noted that an arm was recorded under the plan's name: in the outbox and in the ledger."""
    named = sha256_bytes(f"{plan.name}/{address.digest}".encode())
    return project.lab / "records" / f"{named}.json"
