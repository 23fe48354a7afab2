"""Making room in the store: what is old goes, unless something rests on it; never half a step, never under a run."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from ticketlab.errors import EnvironmentProblem
from ticketlab.files import is_gone, owner, parse_json, remove_abandoned
from ticketlab.run.claims import claims, undisturbed
from ticketlab.run.kept import published, recorded
from ticketlab.run.project import Project
from ticketlab.run.store import RECORD, REMOVED, set_aside
from ticketlab.tracking.cursor import Cursors, waiting_journals
from ticketlab.tracking.outbox import Outbox
from ticketlab.tracking.store import store_of

What = Literal["step", "unfinished", "curves", "lock", "scratch", "remains"]
Reason = Literal["young", "in use", "published", "recorded"]

DAY = 86_400.0
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Holding:
    """What the store holds under one name, to go or to stay as one: folders and files, bytes, Unix time of change."""

    what: What
    name: str
    kind: str
    paths: tuple[Path, ...]
    size: int
    changed: float


@dataclass(frozen=True)
class Cleaning:
    """What went (or would go), and how many holdings stayed for which reason."""

    gone: tuple[Holding, ...]
    kept: Counter[Reason]

    @property
    def freed(self) -> int:
        """Bytes of all that went."""
        return sum(holding.size for holding in self.gone)


def clean(project: Project, older_than: float, *, also_recorded: bool = False, dry_run: bool = False) -> Cleaning:
    """Remove what is in the project's stores, a run's and a smoke run's, and did not change for `older_than` seconds.

    Steps stay that results under runs/ rest on, that a run in progress rests on, and, unless `also_recorded`, those
    that the ledger names or whose outputs it names. Curves stay as long as MLflow has not got them. Steps are renamed
    before they are removed; what a kill leaves is swept by the next call. With `dry_run` nothing changes. LedgerError
    if the ledger is not sound, CorruptFile if a note in `.ticketlab/` cannot be read, EnvironmentProblem if a file
    cannot be removed.
    """
    assert not project.smoke, "the smoke store is cleaned with the project's own"

    def lasting() -> dict[Reason, set[str]]:
        return {"published": published(project), "recorded": set() if also_recorded else recorded(project)}

    outbox = Outbox.of(project.root)
    waiting = waiting_journals(outbox, project.root, Cursors(outbox, store_of(project.root).name))
    undelivered = {project.root / path for path in waiting}
    stores: list[tuple[Path, Callable[[], dict[Reason, set[str]]]]]
    stores = [(project.lab, lasting), (Project(project.root, smoke=True).lab, dict)]
    try:
        done = [_clean(lab, why, undelivered, older_than, dry_run) for lab, why in stores if lab.is_dir()]
    except OSError as error:
        where = str(error.filename or project.lab)
        raise EnvironmentProblem(f"it cannot be removed: {error.strerror}", where=where) from error
    return Cleaning(tuple(one for part in done for one in part.gone), sum((part.kept for part in done), Counter()))


def _clean(
    lab: Path,
    lasting: Callable[[], dict[Reason, set[str]]],
    undelivered: set[Path],
    older_than: float,
    dry_run: bool,
) -> Cleaning:
    gone: list[Holding] = []
    kept: Counter[Reason] = Counter()
    doomed: list[Path] = []
    holdings = list(_holdings(lab))
    with undisturbed(lab):
        # Asked only now: a run that is recorded before its claim ends is in one or the other.
        reasons = {"in use": claims(lab), **lasting()}
        for holding in holdings:
            reason = _why_kept(holding, reasons, time.time() - older_than)
            if reason is None:
                going = _without(holding, undelivered)
                if not going.paths:
                    continue
                if _taken(going, lab, doomed, dry_run):
                    gone.append(going)
                    continue
                reason = "in use"
            kept[reason] += 1
    for path in doomed:
        if path.is_symlink():
            path.unlink()  # somebody keeps this step elsewhere; what a link leads to is not ours to remove
        else:
            shutil.rmtree(path)
    if not dry_run:
        remove_abandoned(lab)
    return Cleaning(tuple(gone), kept)


def _why_kept(holding: Holding, reasons: dict[Reason, set[str]], limit: float) -> Reason | None:
    """Why a holding stays; what a kill left of a removal never does, and only finished steps are recorded."""
    if holding.what == "remains":
        return None
    if holding.changed >= limit:
        return "young"
    if holding.name in reasons["in use"]:
        return "in use"
    if holding.what != "step":
        return None
    names = {holding.name, *_outputs(holding.paths[0])}
    if holding.name in reasons.get("published", ()):
        return "published"
    return "recorded" if names & reasons.get("recorded", set()) else None


def _taken(holding: Holding, lab: Path, doomed: list[Path], dry_run: bool) -> bool:
    """Take a holding out of the store, its folders to be deleted later; False if a process is at work on it."""
    lock = lab / "locks" / f"{holding.name}.lock"
    held = FileLock(lock, timeout=0)
    try:
        # No lock, no process: it would have claimed the step first, and can claim none at this moment.
        if lock.exists():
            held.acquire()
        if _newest(holding.paths) > holding.changed:
            return False
        for path in () if dry_run else holding.paths:
            if path.is_dir():
                doomed.append(path if REMOVED in path.name else set_aside(path))
            else:
                path.unlink(missing_ok=True)
    except Timeout:
        return False
    finally:
        held.release()
    return True


def _holdings(lab: Path) -> Iterator[Holding]:
    """Everything a store holds that can ever go, each path once."""
    finished = {path.name: path for path in (lab / "store").glob("*/*") if (path / RECORD).is_file()}
    found: dict[str, list[Path]] = {}
    for pattern in ("store/*/*", "work/*", "journals/*.jsonl", "failures/*.txt", "locks/*.lock"):
        for path in sorted(lab.glob(pattern)):
            if REMOVED in path.name:
                if _is_left(path):
                    yield _holding("remains", path.name, [path])
            elif _DIGEST.fullmatch(path.stem):
                found.setdefault(path.stem, []).append(path)
    for name, paths in found.items():
        if name in finished:
            # The step may stay for ever; the story of an early failure and a last checkpoint need not.
            beside = [path for path in paths if path.parent.name in ("work", "failures")]
            paths = [finished[name], *(path for path in paths if path not in (finished[name], *beside))]
            yield _holding("step", name, paths)
            if beside:
                yield _holding("unfinished", name, beside)
        else:
            yield _holding(_what(paths), name, paths)
    for path in sorted((lab / "scratch").glob("verify-*")):
        scratch = _holding("scratch", path.name, [path])
        # A verification has a store of its own and claims nothing in this one; none leaves its files alone for a day.
        if scratch.changed < time.time() - DAY:
            yield scratch


def _is_left(path: Path) -> bool:
    """Whether a kill left this in the middle of a removal."""
    remover = path.name.partition(REMOVED)[2]
    return remover == owner() or is_gone(remover)


def _what(paths: Iterable[Path]) -> What:
    folders = {path.parent.name for path in paths}
    if folders <= {"locks"}:
        return "lock"
    return "curves" if folders <= {"locks", "journals"} else "unfinished"


def _holding(what: What, name: str, paths: list[Path]) -> Holding:
    kind = paths[0].parent.name if what == "step" else ""
    return Holding(what, name, kind, tuple(paths), _size(paths), _newest(paths))


def _without(holding: Holding, undelivered: set[Path]) -> Holding:
    """The holding less the curves that MLflow has not got."""
    going = tuple(path for path in holding.paths if path not in undelivered)
    return holding if going == holding.paths else replace(holding, paths=going, size=_size(going))


def _outputs(folder: Path) -> set[str]:
    """The sha256 of each file of a finished step, as its record has them; none if that is damaged."""
    try:
        return set(map(str, parse_json((folder / RECORD).read_bytes())["outputs"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _inside(paths: Iterable[Path]) -> Iterator[os.stat_result]:
    """The status of paths and all below them, those excepted that go meanwhile."""
    for path in paths:
        for one in (path, *path.rglob("*")):
            try:
                yield one.lstat()
            except FileNotFoundError:
                continue


def _size(paths: Iterable[Path]) -> int:
    """Bytes that removing the paths gives back to the disk."""
    return sum(status.st_blocks * 512 for status in _inside(paths))


def _newest(paths: Iterable[Path]) -> float:
    """The latest change, as Unix time; that of a lock, which says when it was first wanted, counts only alone."""
    changes = [path for path in paths if path.suffix != ".lock"] or list(paths)
    return max((status.st_mtime for status in _inside(changes)), default=0.0)
