"""What a running process holds: the name it publishes under, and the steps it rests on, which none may clean away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

from filelock import FileLock

from ticketlab.errors import CorruptFile, Interrupted
from ticketlab.files import read_sealed, sha256_bytes, write_sealed
from ticketlab.plan.experiment import Plan
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
    path = lab / "claims" / f"{uuid4().hex}.json"
    with undisturbed(lab):
        write_sealed(path, {"process": asdict(this_process()), "steps": sorted(digests)})
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def held(plan: Plan, store: Store, listener: Listener, stopping: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """While open, this process alone publishes under the plan's name, and nothing of the plan's steps is cleaned away.

    Another run of that name is waited for. Raises `Interrupted` when asked to stop meanwhile, and `EnvironmentProblem`
    for a file that cannot be written, whoever noticed it.
    """

    def wait(first: bool) -> None:
        if first:
            listener(Notice(f"another run of `{plan.name}` is going on; waiting for it"))
        if stopping():
            raise Interrupted("stopped while waiting for another run", mend="the same command goes on from here")

    steps = (step.digest for _, step in plan.steps())
    try:
        with claimed(store.root, steps), store.alone(f"run-{sha256_bytes(plan.name.encode())}", wait):
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
