"""A disk that is full or cannot be written stops a run with one clear line, and the same command goes on when it can.

The disks are a small tmpfs and a read-only bind mount where mounting is permitted (else those tests are skipped), and
RLIMIT_FSIZE everywhere.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import ticketlab
from ticketlab.errors import EnvironmentProblem, TicketlabError
from ticketlab.run.clean import clean
from ticketlab.run.events import Event, Notice
from ticketlab.run.project import Project

FULL = "No space left on device"


def tried(lab: Any) -> list[str]:
    """The spec run in this process: what went wrong, if anything, as the command line would print it."""
    try:
        outcome = ticketlab.run(lab.spec)
    except TicketlabError as error:
        return [str(error)]
    return [str(failure.error) for failure in outcome.failures]


def test_a_full_disk_stops_it_and_with_room_it_goes_on(
    lab: Any, undisturbed: Any, mounted: Any, torch_as_before: None, nobody_answers: None
) -> None:
    place = lab.root / ".ticketlab"
    mounted("-t", "tmpfs", "-o", "size=4k,nr_inodes=4000", "none", at=place)
    stopped = 0
    for size in (4, 44, 92, 140):
        subprocess.run(["mount", "-o", f"remount,size={size}k", str(place)], check=True)
        said = tried(lab)
        assert all(FULL in line and len(line.splitlines()) <= 3 for line in said), said
        stopped += bool(said)
    assert stopped >= 3
    subprocess.run(["mount", "-o", "remount,size=20m", str(place)], check=True)
    assert tried(lab) == []
    assert lab.published() == undisturbed.published()
    assert sorted(lab.entries()) == sorted(undisturbed.entries())


def fill(path: Path) -> None:
    """Write zeros until the disk is full."""
    with path.open("wb", buffering=0) as handle, suppress(OSError):
        while True:
            handle.write(bytes(4096))


def test_cleaning_makes_room_on_a_full_disk(lab: Any, mounted: Any) -> None:
    place = lab.root / ".ticketlab"
    mounted("-t", "tmpfs", "-o", "size=300k", "none", at=place)
    work = place / "work" / ("0" * 64)
    work.mkdir(parents=True)
    fill(work / "checkpoint")
    with pytest.raises(OSError, match=FULL):
        (place / "room").write_bytes(bytes(100_000))
    assert clean(Project(lab.root), 0).freed > 200_000
    (place / "room").write_bytes(bytes(100_000))


@pytest.mark.long
@pytest.mark.parametrize("limit", [300, 3000])
def test_files_that_may_not_grow_stop_it_with_one_line(lab: Any, undisturbed: Any, limit: int) -> None:
    """The limit is on every file of the run: first on its notes, then on its checkpoints."""
    code = (
        "import resource, sys; from ticketlab.cli.main import main;"
        "sys.argv = ['ticketlab', 'run', 'specs/small.yaml'];"
        f"import torch, mlflow; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {resource.RLIM_INFINITY})); main()"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=lab.root, capture_output=True, text=True, check=False, timeout=120
    )
    said = process.stdout + process.stderr
    assert process.returncode in (1, 3), said
    assert "File too large" in said
    assert "Traceback" not in said
    assert lab.ticketlab("run", "specs/small.yaml")[0] == 0
    assert lab.published() == undisturbed.published()


def test_a_read_only_project_is_read_and_not_written(done: Any, mounted: Any) -> None:
    mounted("--bind", str(done.root), at=done.root)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(done.root)], check=True)
    code, said = done.ticketlab("run", "specs/small.yaml")
    assert (code, said) == (0, "specs/small.yaml: nothing to do; results in runs/small\n")
    for command in (("run", "specs/small.yaml", "--set", "seed=1"), ("clean", "--older-than", "0s"), ("reconcile",)):
        code, said = done.ticketlab(*command)
        assert code == 1, said
        assert "Read-only file system" in said
        assert len(said.splitlines()) <= 3, said
    code, said = done.ticketlab("ledger", "check")
    assert code == 0, said


@pytest.mark.long
def test_results_that_cannot_be_published_are_recorded_when_they_can(
    lab: Any, undisturbed: Any, mounted: Any, torch_as_before: None, nobody_answers: None
) -> None:
    runs: Path = lab.root / "runs"
    runs.mkdir()
    mounted("-t", "tmpfs", "-o", "ro", "none", at=runs)
    said = tried(lab)
    assert len(said) >= 1
    assert all("Read-only file system" in line for line in said)
    assert lab.entries() == []
    subprocess.run(["mount", "-o", "remount,rw", str(runs)], check=True)
    events: list[Event] = []
    assert ticketlab.run(lab.spec, listener=events.append).failures == []
    assert all(isinstance(event, Notice) for event in events), "nothing had to be done again"
    assert lab.published() == undisturbed.published()
    assert lab.entries() == undisturbed.entries()


def test_an_arm_that_the_ledger_refuses_does_not_stop_the_others(
    done: Any, undisturbed: Any, torch_as_before: None, nobody_answers: None, flipped: Any
) -> None:
    """All arms are done and published, none is recorded; with the ledger restored the same command records them."""
    ledger = done.root / "ledger.jsonl"
    sound = ledger.read_bytes()
    flipped(ledger)
    spec = done.root / "specs" / "other.yaml"
    spec.write_text(done.spec.read_text().replace("name: small", "name: other\nseed: 5"))
    outcome = ticketlab.run(spec)
    assert [failure.name for failure in outcome.failures] == ["ticket", "dense"]
    assert [result.name for result in outcome.results] == ["ticket", "dense"]
    assert all("ledger" in str(failure.error) for failure in outcome.failures)
    assert (done.root / "runs/other/results.md").is_file()
    ledger.write_bytes(sound)
    assert ticketlab.run(spec).failures == []
    assert done.entries() == [*undisturbed.entries(), "other/ticket", "other/dense"]


@pytest.mark.long
def test_an_outbox_that_cannot_be_written_is_a_notice(
    lab: Any, undisturbed: Any, mounted: Any, torch_as_before: None, nobody_answers: None
) -> None:
    outbox: Path = lab.root / ".ticketlab" / "outbox"
    outbox.mkdir()
    mounted("-t", "tmpfs", "-o", "ro", "none", at=outbox)
    events: list[Event] = []
    outcome = ticketlab.run(lab.spec, listener=events.append)
    assert outcome.failures == []
    told = [event.text for event in events if isinstance(event, Notice) and "Read-only file system" in event.text]
    assert 1 <= len(told) <= 2
    assert lab.published() == undisturbed.published()
    assert lab.entries() == undisturbed.entries()


def test_what_cannot_be_removed_is_named(lab: Any, mounted: Any) -> None:
    (lab.root / ".ticketlab" / "work" / ("0" * 64)).mkdir(parents=True)
    (lab.root / ".ticketlab" / "locks").mkdir()
    mounted("--bind", str(lab.root), at=lab.root)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(lab.root)], check=True)
    with pytest.raises(EnvironmentProblem, match="Read-only"):
        clean(Project(lab.root), 0)
