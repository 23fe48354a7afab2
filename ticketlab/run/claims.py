"""What a running process holds: the name it publishes under, and the steps it rests on, which none may clean away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

from filelock import FileLock

from ticketlab.errors import CorruptFile, Interrupted
from ticketlab.files import read_sealed, sha256_bytes, write_sealed
from ticketlab.plan.experiment import Plan
from ticketlab.run import store as store_module
from ticketlab.run.events import Listener, Notice
from ticketlab.run.not_written import not_written
from ticketlab.run.store import Store
from ticketlab.tracking.process import Process, is_alive, this_process


@contextmanager
def claimed(lab: Path, digests: Iterable[str]) -> Iterator[None]:
    """While open, `ticketlab clean` leaves what `lab` holds under these digests, finished or not.

    A step's lock guards it while it is done; a claim guards it before and after, when others are made from it. A claim
    ends with its process at the latest.
    """
    with undisturbed(lab):
        claim = _claim(lab, digests)
    with _until_done(claim):
        yield


@contextmanager
def claimed_alone(
    lab: Path, digests: Iterable[str], begin: Callable[[], None], wait: Callable[[bool], None]
) -> Iterator[None]:
    """As `claimed`, but from a moment on when no other process rests on any of these steps; then `begin` may throw them away.

    Nobody can begin to rest on them meanwhile. Others are waited for without a claim, so two that wait for each other
    are not possible; `wait(first)` is called about once a second and may raise to give up.
    """
    steps = set(digests)
    first = True
    while True:
        with undisturbed(lab):
            if not claims(lab) & steps:
                begin()
                claim = _claim(lab, steps)
                break
        wait(first)
        first = False
        time.sleep(store_module.PATIENCE)
    with _until_done(claim):
        yield


def _claim(lab: Path, digests: Iterable[str]) -> Path:
    path = lab / "claims" / f"{uuid4().hex}.json"
    write_sealed(path, {"process": asdict(this_process()), "steps": sorted(digests)})
    return path


@contextmanager
def _until_done(claim: Path) -> Iterator[None]:
    try:
        yield
    finally:
        claim.unlink(missing_ok=True)


@contextmanager
def held(
    plan: Plan,
    store: Store,
    listener: Listener,
    stopping: Callable[[], bool] = lambda: False,
    afresh: Callable[[], None] | None = None,
) -> Iterator[None]:
    """While open, this process alone publishes under the plan's name, and nothing of the plan's steps is cleaned away.

    Another run of that name is waited for; where `afresh` is to throw the steps' results away first, so are runs of
    other names that rest on one of them. Raises `Interrupted` when asked to stop meanwhile, and `EnvironmentProblem`
    for a file that cannot be written, whoever noticed it.
    """

    def waiting_for(whom: str) -> Callable[[bool], None]:
        def wait(first: bool) -> None:
            if first:
                listener(Notice(f"{whom}; waiting for it"))
            if stopping():
                raise Interrupted("stopped while waiting for another run", mend="the same command goes on from here")

        return wait

    lab = store.root
    digests = [step.digest for _, step in plan.steps()]
    resting = waiting_for(f"another run rests on steps that are to be done afresh (see {lab / 'claims'})")
    try:
        with (
            store.alone(
                f"run-{sha256_bytes(plan.name.encode())}", waiting_for(f"another run of `{plan.name}` is going on")
            ),
            claimed_alone(lab, digests, afresh, resting) if afresh else claimed(lab, digests),
        ):
            yield
    except OSError as error:
        raise not_written(error) from error


@contextmanager
def undisturbed(lab: Path) -> Iterator[None]:
    """While open, no process begins to rest on anything of `lab`: a claim is seen, or made when all is cleaned."""
    lock = lab / "locks" / "cleaning.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        yield


def claims(lab: Path) -> set[str]:
    """The digests that living processes rest on; claims of dead ones are removed.

    On another host nobody can tell, so a claim from there counts until it is removed by hand. CorruptFile if one cannot
    be read.
    """
    found: set[str] = set()
    for path in sorted((lab / "claims").glob("*.json")):
        try:
            claim = read_sealed(path)
            process, steps = Process(**claim["process"]), set(map(str, claim["steps"]))
        except FileNotFoundError:
            continue  # its run has just ended
        except (ValueError, TypeError, KeyError) as error:
            mend = "remove it if no run is going on"
            raise CorruptFile("no claim of a run can be read from it", where=str(path), mend=mend) from error
        if is_alive(process):
            found |= steps
        else:
            path.unlink(missing_ok=True)
    return found
