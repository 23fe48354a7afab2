"""`ticketlab verify --code recorded` does the work by the code of then, dirty tree and all, and leaves no trace in git."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import ticketlab
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger import capture
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.facts import Code
from ticketlab.ledger.statement import facts, verdict

PACKAGE = Path(ticketlab.__file__).parent
IGNORED = ".ticketlab\n__pycache__\ndata\nruns\nledger.jsonl\n"

WAITS = """
import pathlib, signal, sys, time

def stop(*_):
    pathlib.Path("stopped").touch()
    sys.exit(130)

signal.signal(signal.SIGTERM, stop)
pathlib.Path("begun").touch()
time.sleep(60)
"""


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def committed(root: Path) -> str:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Go on")
    return git(root, "rev-parse", "HEAD")


def started(root: Path, package: Path, *arguments: str) -> subprocess.Popen[str]:
    """`ticketlab ARGUMENTS` in a project, by the package that lies in a folder."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "ticketlab", *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(process: subprocess.Popen[str], code: int) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    return output


@pytest.fixture
def repository(specks: Path) -> Path:
    """The project in git, with nothing committed yet."""
    (specks / ".gitignore").write_text(IGNORED)
    git(specks, "init", "--quiet")
    return specks


@pytest.mark.long
def test_the_code_of_then_does_the_work_whatever_became_of_the_tree(repository: Path) -> None:
    shutil.copytree(PACKAGE, repository / "ticketlab", ignore=shutil.ignore_patterns("__pycache__"))
    then = committed(repository)
    edited, added = repository / "ticketlab" / "tickets" / "mask.py", repository / "ticketlab" / "added.py"
    edited.write_text(edited.read_text() + "\n# Not committed.\n")
    added.write_text('"""Not tracked."""\n')
    said(started(repository, repository, "run", "specs/small.yaml"), 0)
    run = facts(next(Chain(repository / "ledger.jsonl").entries()).statement)
    assert run.code.commit == then
    assert run.code.patch
    edited.write_text(edited.read_text() + "\n# Of another commit.\n")
    committed(repository)
    added.unlink()
    before = git(repository, "status", "--porcelain")
    found = said(started(repository, repository, "verify", "--code", "recorded", "0"), 0)
    assert found.endswith("  IDENTICAL\n")
    assert "code:" not in found, "the code that ran is the code that was recorded"
    *_, stated = Chain(repository / "ledger.jsonl").entries()
    assert verdict(stated.statement).code == run.code
    assert git(repository, "status", "--porcelain") == before
    assert len(git(repository, "worktree", "list").splitlines()) == 1
    found = said(started(repository, repository, "verify", "0"), 0)
    assert f"though: code: commit: '{then}' then" in found
    assert "though: code: ticketlab/tickets/mask.py" in found


def test_a_ticketlab_installed_apart_from_the_project_is_said_to_be(
    repository: Path, stated_of: Callable[[Path, Code], None]
) -> None:
    stated_of(repository, replace(capture.code(repository), commit=committed(repository), patch=None))
    found = said(started(repository, PACKAGE.parent, "verify", "--code", "recorded", "0"), 5)
    assert "does not hold the ticketlab that ran, which was installed apart from the project" in found
    assert "  -> install the ticketlab that ran" in found
    assert len(git(repository, "worktree", "list").splitlines()) == 1


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_wish_to_stop_is_passed_on(
    repository: Path,
    stated_of: Callable[[Path, Code], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    stub = repository / "ticketlab"
    stub.mkdir()
    (stub / "__init__.py").touch()
    (stub / "__main__.py").write_text("import methods_of_mine" + WAITS)
    (tmp_path / "methods_of_mine.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    commit = committed(repository)
    stated_of(repository, Code(sha256_bytes(canonical_json(capture.sources(stub))), commit))
    process = started(repository, PACKAGE.parent, "verify", "--code", "recorded", "0")
    limit = time.monotonic() + 60
    while not (repository / "begun").exists():
        assert time.monotonic() < limit
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    process.send_signal(number)
    found = said(process, 130)
    assert found.splitlines() == ["the recorded code was stopped", "  -> the same command begins again"]
    assert (repository / "stopped").exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1
