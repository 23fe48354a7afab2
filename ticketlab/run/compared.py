"""A run and the same run done again, compared: file by file and step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ticketlab.errors import CorruptFile
from ticketlab.files import parse_json, sha256_file
from ticketlab.ledger.facts import Artifact, RunFacts, StepFact
from ticketlab.ledger.paired import paired
from ticketlab.plan.sources import PACKAGES_THAT_SUM
from ticketlab.run.located import first_difference, first_field
from ticketlab.run.published import place_of

BAND = 1e-2
"""Relative difference up to which a metric measured on another machine counts as the same."""

TICKET = "ticket.safetensors"
METRICS = "metrics.json"

Finding = Literal["IDENTICAL", "WITHIN BAND", "DIFFERS"]


@dataclass(frozen=True)
class Compared:
    """One thing compared, and for one that differs where: the first output (or file) that does, and what in it.

    `mask_agreement`, of a ticket that differs, is the share of the weights that both tickets keep or both prune, in
    [0, 1]; None where it cannot be said, as the recorded ticket is not there or has other layers.
    """

    name: str
    finding: Finding
    where: str = ""
    mask_agreement: float | None = None

    @property
    def said(self) -> str:
        """The name, and of masks that differ how much of them does not."""
        if self.mask_agreement is None:
            return self.name
        # Rounded down: only masks that are the same agree in all.
        return f"{self.name}: {self.mask_agreement * 1e6 // 1 / 1e4:.4f} % of mask bits agree"


def compared_files(recorded: RunFacts, root: Path) -> Iterator[Compared]:
    """The published files of a run, its statistics too, in the project at `root`, against what was recorded of them.

    Of the dataset, which DVC may bring when it is wanted, the files that are there.
    """
    measured_by = [one for one in (*recorded.statistics, *recorded.extractors) if one.path]
    data = [one for one in recorded.splits if one.path and _place(one, root).is_file()]
    for subject in (*recorded.subjects, *measured_by, *data):
        path = _place(subject, root)
        if not path.is_file():
            yield Compared(
                f"file {subject.name}", "DIFFERS", f"{subject.path} is not there; `dvc pull` brings what DVC has"
            )
        elif sha256_file(path) != subject.sha256:
            what = f"{subject.path} is not the file that was recorded"
            yield Compared(f"file {subject.name}", "DIFFERS", _told(what, _changed(subject, recorded, path, root)))
        else:
            yield Compared(f"file {subject.name}", "IDENTICAL")


def compared_steps(
    recorded: RunFacts, fresh: RunFacts, files: Mapping[str, Path], root: Path, scratch: Path, elsewhere: bool
) -> Iterator[Compared]:
    """Step by step in the order they were done, then results, then what the statement says that these hold.

    `files` are the fresh results by name, `scratch` their store. Steps that differ are within the band if the run was done `elsewhere` and what it measured in the end is.
    """
    close: Finding = "WITHIN BAND" if elsewhere and _within_band(recorded.metrics, fresh.metrics) else "DIFFERS"
    is_same_work = _is_same_work(recorded, fresh)
    for then, now in paired(recorded, fresh):
        if then and now:
            found = _compared_step(then, now, recorded, root, scratch, close)
            if found.finding == "IDENTICAL" and is_same_work and then.identity != now.identity:
                found = Compared(then.name, "DIFFERS", "what was asked, by its digest")
            yield found
        elif one := then or now:
            yield Compared(one.name, "DIFFERS", "only then" if then else "only now")
    made = {subject.name: subject.sha256 for subject in fresh.subjects}
    stated = {subject.name for subject in recorded.subjects}
    yield from (Compared(f"result {name}", "DIFFERS", "only now") for name in made if name not in stated)
    for subject in recorded.subjects:
        name = f"result {subject.name}"
        if made.get(subject.name) == subject.sha256:
            yield Compared(name, "IDENTICAL")
            continue
        before, after = _recorded_copy(subject.name, subject.sha256, recorded, root), files.get(subject.name)
        what = _between(before, after)
        if subject.name == METRICS:
            what = first_field(recorded.metrics, fresh.metrics) or what
        yield Compared(name, close, _told(subject.name, what), _mask_agreement(subject, before, after))
    yield _compared_words(recorded, fresh, close)
    misnamed = _misnamed(recorded)
    if misnamed:
        yield Compared("what it is called", "DIFFERS", misnamed)


def _compared_words(recorded: RunFacts, fresh: RunFacts, close: Finding) -> Compared:
    """What people read of a run, which no digest in the statement covers: whoever writes a line may write any number."""
    then, now = (
        {"metrics": one.metrics, "density": one.density, "collapsed": one.collapsed, "main metric": one.main_metric}
        for one in (recorded, fresh)
    )
    field = first_field(then, now)
    return Compared("what is stated", close if field else "IDENTICAL", field)


def _misnamed(recorded: RunFacts) -> str:
    """What in the name of a run is not that of its spec, its arm, or the place of its files; empty where all of it is."""
    plan, _, address = recorded.cell.partition("/")
    if address.rpartition("/")[2] != recorded.arm:
        return f"{recorded.cell} is not the arm {recorded.arm}"
    if plan.partition("+")[0] != recorded.spec["name"]:
        return f"{recorded.cell} is no run of {recorded.spec['name']}"
    for one in recorded.subjects:
        if one.path != place_of(Path("runs", plan), address, one.name).as_posix():
            return f"{one.path} is no file of {recorded.cell}"
    return ""


def _compared_step(
    then: StepFact, now: StepFact, recorded: RunFacts, root: Path, scratch: Path, close: Finding
) -> Compared:
    name = _differing_output(then, now)
    # Entries from before steps said what they read say nothing false of it; nor had they a meaning of the code.
    if name is None and then.inputs != now.inputs and (then.inputs or recorded.code.meaning):
        return Compared(then.name, close, "what it read, by its digest")
    if name is None:
        return Compared(then.name, "IDENTICAL")
    before = _recorded_copy(name, then.outputs.get(name, ""), recorded, root)
    after = next((scratch / "store").glob(f"*/{now.identity}/{name}"), None)
    return Compared(then.name, close, _told(name, _between(before, after)))


def _is_same_work(recorded: RunFacts, fresh: RunFacts) -> bool:
    """Whether the steps that are asked for in the same words must have the same digests: where the code means the same."""
    summing = PACKAGES_THAT_SUM.values()
    return recorded.code.meaning == fresh.code.meaning and all(
        recorded.packages.get(name) == fresh.packages.get(name) for name in summing
    )


def _mask_agreement(recorded: Artifact, before: Path | None, after: Path | None) -> float | None:
    """Of a ticket, which share of its bits another has too; None for another file, and where one is not to be had."""
    from ticketlab.tickets.file import read

    if recorded.name != TICKET or before is None or after is None:
        return None
    try:
        then, now = read(before)[0], read(after)[0]
    except CorruptFile:
        return None
    return float(then.agreement(now)) if then.shapes() == now.shapes() else None


def _place(subject: Artifact, root: Path) -> Path:
    return root / (subject.path or subject.name)


def _recorded_copy(name: str, digest: str, recorded: RunFacts, root: Path) -> Path | None:
    """A file with the recorded bytes, published or in the store; None where neither is left as it was."""
    published = [_place(one, root) for one in recorded.subjects if one.sha256 == digest]
    made = [step.identity for step in recorded.steps if step.outputs.get(name) == digest]
    kept = [path for one in made for path in (root / ".ticketlab" / "store").glob(f"*/{one}/{name}")]
    return next((path for path in (*published, *kept) if path.is_file() and sha256_file(path) == digest), None)


def _changed(subject: Artifact, recorded: RunFacts, path: Path, root: Path) -> str:
    """What in a published file is not as it was recorded."""
    if subject.name != METRICS:
        return _between(_recorded_copy(subject.name, subject.sha256, recorded, root), path)
    try:
        found = parse_json(path.read_bytes())
    except ValueError:
        return ""
    return first_field(recorded.metrics, found) if isinstance(found, dict) else ""


def _between(before: Path | None, after: Path | None) -> str:
    return first_difference(before, after) if before and after else ""


def _told(name: str, inside: str) -> str:
    return f"{name}: {inside}" if inside else name


def _differing_output(then: StepFact, now: StepFact) -> str | None:
    names = sorted(then.outputs.keys() | now.outputs.keys())
    return next((name for name in names if then.outputs.get(name) != now.outputs.get(name)), None)


def _within_band(then: Mapping[str, float], now: Mapping[str, float]) -> bool:
    return then.keys() == now.keys() and all(
        abs(then[name] - now[name]) <= BAND * max(abs(then[name]), abs(now[name])) for name in then
    )
