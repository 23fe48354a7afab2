"""Cleaning takes what is old and what nothing rests on, whole, and nothing else; what it lists is what goes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from ticketlab.errors import CorruptFile, LedgerError
from ticketlab.files import owner, sha256_bytes, write_sealed
from ticketlab.ledger.chain import Chain
from ticketlab.plan.steps import Step
from ticketlab.run import clean as clean_module
from ticketlab.run.claims import claimed
from ticketlab.run.clean import Cleaning, clean
from ticketlab.run.project import Project
from ticketlab.run.store import Store
from ticketlab.tracking.outbox import Journal, Outbox, TrackedRun
from ticketlab.tracking.process import this_process
from ticketlab.tracking.rows import line_of

DAY = 86_400.0
Made = Callable[..., Step]


class Killed(BaseException):
    """What SIGKILL would be, if Python could see it."""


@pytest.fixture
def store(lab: Path) -> Store:
    return Store(lab)


@pytest.fixture
def project(lab: Path) -> Project:
    return Project(lab.parent)


def grow_old(place: Path, days: float = 40) -> None:
    """As if nothing below had changed for so long."""
    moment = place.stat().st_mtime - days * DAY
    for path in (*place.rglob("*"), place):
        os.utime(path, (moment, moment))


@pytest.fixture
def finished(store: Store, counting: Made) -> Callable[[int], Step]:
    """A finished step with curves, outputs `a.bin`, and its lock."""

    def make(number: int) -> Step:
        step = counting(number)
        with store.working(step) as work:
            out = work / "out"
            out.mkdir()
            (out / "a.bin").write_bytes(b"%d" % number * 10_000)
            store.journal(step).parent.mkdir(parents=True, exist_ok=True)
            store.journal(step).write_bytes(line_of({"t": 1, "step": 1, "metrics": {"loss": 0.5}}))
            store.finish(step, out)
        return step

    return make


@pytest.fixture
def unfinished(store: Store, counting: Made) -> Callable[[int], Step]:
    """A step that was killed at work, after it had failed once."""

    def make(number: int) -> Step:
        step = counting(number)
        with store.working(step) as work:
            (work / "checkpoint").write_bytes(b"x" * 5000)
        failure = store.root / "failures" / f"{step.digest}.txt"
        failure.parent.mkdir(exist_ok=True)
        failure.write_text("it failed")
        return step

    return make


def found_of(step: Step, lab: Path) -> list[str]:
    """Everything that carries the digest of a step, by the folder it is in."""
    return sorted(path.relative_to(lab).parts[0] for path in lab.rglob(f"{step.digest}*"))


def what(done: Cleaning) -> list[tuple[str, str]]:
    return sorted((one.what, one.name) for one in done.gone)


def test_what_is_old_goes_whole_and_what_is_young_stays(
    finished: Any, unfinished: Any, store: Store, project: Project
) -> None:
    old, begun = finished(1), unfinished(2)
    grow_old(store.root)
    young, at_work = finished(3), unfinished(4)
    before = found_of(young, store.root), found_of(at_work, store.root)
    done = clean(project, 30 * DAY)
    assert what(done) == sorted([("step", old.digest), ("unfinished", begun.digest)])
    assert found_of(old, store.root) == found_of(begun, store.root) == []
    assert (found_of(young, store.root), found_of(at_work, store.root)) == before
    assert store.has(young)
    assert done.kept == {"young": 2}
    assert done.freed > 15_000
    assert what(clean(project, 50 * DAY)) == []


def test_a_dry_run_lists_exactly_what_a_real_one_takes_and_takes_nothing(
    finished: Any, unfinished: Any, store: Store, project: Project
) -> None:
    for number in (1, 2):
        finished(number)
        unfinished(number + 10)
    grow_old(store.root)
    before = sorted(store.root.rglob("*"))
    listed = clean(project, 30 * DAY, dry_run=True)
    after = sorted(store.root.rglob("*"))
    assert {path.name for path in after if path not in before} == {"cleaning.lock", "ledger.jsonl.lock"}
    assert [path for path in before if path not in after] == []
    done = clean(project, 30 * DAY)
    assert what(done) == what(listed)
    assert done.freed == listed.freed
    assert clean(project, 0).gone == ()


def test_what_the_ledger_names_stays_unless_told(finished: Any, store: Store, project: Project) -> None:
    by_digest, by_output, unnamed = finished(1), finished(2), finished(3)
    content = (store.folder(by_output) / "a.bin").read_bytes()
    grow_old(store.root)
    Chain(project.ledger).append(
        {"subject": [{"digest": {"sha256": sha256_bytes(content)}}], "steps": [{"identity": by_digest.digest}]}
    )
    done = clean(project, 30 * DAY)
    assert what(done) == [("step", unnamed.digest)]
    assert done.kept == {"recorded": 2}
    assert store.result(by_digest, check=True)
    assert store.result(by_output, check=True)
    done = clean(project, 30 * DAY, also_recorded=True)
    assert what(done) == sorted([("step", by_digest.digest), ("step", by_output.digest)])


@pytest.mark.parametrize("harm", ["flip", "shorter"])
def test_a_damaged_ledger_stops_it_since_nobody_knows_what_it_named(
    finished: Any, store: Store, project: Project, harm: str
) -> None:
    step = finished(1)
    grow_old(store.root)
    for _ in range(2):
        Chain(project.ledger).append({"steps": [{"identity": step.digest}]})
    lines = project.ledger.read_bytes().splitlines(keepends=True)
    damaged = lines[0] if harm == "shorter" else lines[0].replace(step.digest[:4].encode(), b"0000") + lines[1]
    project.ledger.write_bytes(damaged)
    with pytest.raises(LedgerError, match="ledger"):
        clean(project, 30 * DAY)
    assert store.has(step)
    assert what(clean(project, 30 * DAY, also_recorded=True)) == [("step", step.digest)]


def test_what_published_results_rest_on_stays_as_long_as_they_are_there(
    finished: Any, store: Store, project: Project
) -> None:
    closed, stated, neither = finished(1), finished(2), finished(3)
    arm = project.runs / "tiny" / "ticket"
    arm.mkdir(parents=True)
    (arm / "statement.json").write_text(json.dumps({"steps": [{"identity": stated.digest}]}))
    write_sealed(store.root / "records" / "x.closed.json", {"name": "tiny", "arms": [], "steps": [closed.digest]})
    grow_old(store.root)
    done = clean(project, 30 * DAY, also_recorded=True)
    assert what(done) == [("step", neither.digest)]
    assert done.kept == {"published": 2}
    shutil.rmtree(project.runs / "tiny")
    assert len(clean(project, 30 * DAY).gone) == 2


CLAIMANT = """
import sys
from pathlib import Path
from ticketlab.run.claims import claimed

with claimed(Path(sys.argv[1]), sys.argv[2:]):
    print("claimed", flush=True)
    sys.stdin.read()
"""

WORKER = """
import sys
from pathlib import Path
from filelock import FileLock

with FileLock(Path(sys.argv[1]) / "locks" / f"{sys.argv[2]}.lock"):
    print("at work", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(code: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has said one line and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_step_that_a_living_run_rests_on_stays_until_that_run_is_gone(
    finished: Any, unfinished: Any, store: Store, project: Project
) -> None:
    needed, begun, other = finished(1), unfinished(2), finished(3)
    grow_old(store.root)
    with another_process(CLAIMANT, store.root, needed.digest, begun.digest) as run:
        done = clean(project, 30 * DAY)
        assert what(done) == [("step", other.digest)]
        assert done.kept == {"in use": 2}
        run.kill()
        run.wait()
        assert list((store.root / "claims").iterdir())
        assert len(clean(project, 30 * DAY).gone) == 2
        assert not list((store.root / "claims").iterdir())


def test_a_step_that_another_process_is_at_work_on_is_skipped(
    finished: Any, unfinished: Any, store: Store, project: Project
) -> None:
    locked, other = unfinished(1), unfinished(2)
    grow_old(store.root)
    with another_process(WORKER, store.root, locked.digest):
        for dry_run in (True, False):
            done = clean(project, 30 * DAY, dry_run=dry_run)
            assert what(done) == [("unfinished", other.digest)]
            assert done.kept == {"in use": 1}
    assert what(clean(project, 30 * DAY)) == [("unfinished", locked.digest)]


def test_a_claim_ends_with_its_run_and_one_that_cannot_be_read_stops_the_cleaning(
    finished: Any, store: Store, project: Project
) -> None:
    step = finished(1)
    grow_old(store.root)
    with claimed(store.root, [step.digest]):
        assert clean(project, 30 * DAY).gone == ()
        (claim,) = (store.root / "claims").iterdir()
        claim.write_bytes(claim.read_bytes().replace(step.digest[:4].encode(), b"0000"))
        with pytest.raises(CorruptFile, match="remove it if no run is going on"):
            clean(project, 30 * DAY)
    assert len(clean(project, 30 * DAY).gone) == 1


def test_a_kill_in_the_middle_leaves_no_half_step_and_the_next_call_sweeps(
    finished: Any, store: Store, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [finished(number) for number in (1, 2)]
    grow_old(store.root)

    def killed(path: Path) -> None:
        (path / "a.bin").unlink()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(clean_module.shutil, "rmtree", killed)
        with pytest.raises(Killed):
            clean(project, 30 * DAY)
    assert not any(store.has(step) for step in steps)
    assert len(list(store.root.rglob("*.removed-*"))) == 2
    done = clean(project, 30 * DAY)
    assert [one.what for one in done.gone] == ["remains"] * 2
    assert not list(store.root.rglob("*.removed-*"))


def test_what_another_living_process_is_removing_is_left_to_it(finished: Any, store: Store, project: Project) -> None:
    folder = store.folder(finished(1))
    folder.rename(folder.with_name(f"{folder.name}.removed-{owner().rpartition('.')[0]}.{os.getppid()}"))
    assert "remains" not in [one.what for one in clean(project, 0).gone]
    assert list(store.root.rglob("*.removed-*"))


def test_curves_that_mlflow_has_not_got_stay(finished: Any, store: Store, project: Project) -> None:
    waiting, delivered = finished(1), finished(2)
    grow_old(store.root)
    journal = Journal(store.journal(waiting).relative_to(project.root).as_posix())
    run = TrackedRun("0" * 64, "tiny", "ticket", journals=(journal,), status="FINISHED")
    Outbox.of(project.root).put(run)
    clean(project, 30 * DAY)
    assert found_of(waiting, store.root) == ["journals"]
    assert found_of(delivered, store.root) == []
    Outbox.of(project.root).put(replace(run, journals=()))
    clean(project, 30 * DAY)
    assert found_of(waiting, store.root) == []


def test_beside_a_step_that_stays_an_old_checkpoint_and_failure_go(
    finished: Any, unfinished: Any, store: Store, project: Project
) -> None:
    step = finished(1)
    unfinished(1)
    (store.root / "work" / step.digest).mkdir()
    (store.root / "work" / step.digest / "checkpoint").write_bytes(b"left by a kill")
    grow_old(store.root)
    Chain(project.ledger).append({"steps": [{"identity": step.digest}]})
    assert what(clean(project, 30 * DAY)) == [("unfinished", step.digest)]
    assert found_of(step, store.root) == ["journals", "locks", "store"]
    assert store.result(step).path("a.bin").is_file()


def test_the_smoke_store_is_cleaned_by_age_alone(finished: Any, store: Store, project: Project) -> None:
    step = finished(1)
    smoke = Project(project.root, smoke=True)
    shutil.copytree(store.root / "store", smoke.lab / "store")
    write_sealed(store.root / "records" / "x.closed.json", {"name": "tiny", "arms": [], "steps": [step.digest]})
    (project.runs / "tiny").mkdir(parents=True)
    grow_old(store.root)
    assert what(clean(project, 30 * DAY)) == [("step", step.digest)]
    assert store.has(step)
    assert not Store(smoke.lab).has(step)


def test_scratch_of_a_verification_goes_when_it_is_abandoned(store: Store, project: Project) -> None:
    for name in ("verify-old", "verify-now"):
        (store.root / "scratch" / name).mkdir(parents=True)
    grow_old(store.root / "scratch" / "verify-old")
    assert what(clean(project, 0)) == [("scratch", "verify-old")]


@pytest.mark.parametrize("place", ["work", "store/counting", "scratch"])
def test_of_a_link_only_the_link_is_removed(place: str, store: Store, project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.bin").write_bytes(b"1")
    grow_old(elsewhere)
    link = store.root / place / ("verify-abc" if place == "scratch" else "a" * 64)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    os.utime(link, (0, 0), follow_symlinks=False)
    assert len(clean(project, 30 * DAY).gone) == 1
    assert list(link.parent.iterdir()) == []
    assert (elsewhere / "precious.bin").read_bytes() == b"1"
    assert clean(project, 30 * DAY).gone == ()


def test_a_folder_without_a_store_is_left_as_it_is(tmp_path: Path) -> None:
    assert clean(Project(tmp_path), 0).gone == ()
    assert list(tmp_path.iterdir()) == []


def test_a_claim_tells_which_process_it_is(lab: Path) -> None:
    with claimed(lab, ["b", "a"]):
        (claim,) = (lab / "claims").iterdir()
        told = json.loads(claim.read_bytes())
        assert (told["process"], told["steps"]) == (asdict(this_process()), ["a", "b"])
    assert list((lab / "claims").iterdir()) == []
