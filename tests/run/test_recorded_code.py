"""The recorded code comes back as it was recorded, or not at all, and git runs nothing else on the way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ticketlab.errors import CorruptFile, LedgerError
from ticketlab.ledger import capture
from ticketlab.ledger.facts import Code
from ticketlab.run.recorded_code import checked_out

Git = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    (project / "ticketlab").mkdir(parents=True)
    (project / "ticketlab" / "prune.py").write_text("KEEP = 0.1\n")
    return project


@pytest.fixture
def git(project: Path) -> Git:
    """Git in a project with one commit."""

    def asked(*words: str) -> str:
        settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *settings, *words], cwd=project, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    asked("init", "-q")
    asked("add", ".")
    asked("commit", "-q", "-m", "first")
    return asked


@pytest.fixture
def dirty(project: Path, git: Git) -> Code:
    """Code recorded of a tree that was not as committed; the tree is as committed again."""
    prune = project / "ticketlab" / "prune.py"
    prune.write_text("KEEP = 0.2\n")
    code = capture.code(project, project / "ticketlab")
    git("checkout", "-q", "--", ".")
    return code


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_the_code_of_a_dirty_tree_comes_back_and_goes_again(
    project: Path, git: Git, dirty: Code, scratch: Path
) -> None:
    with checked_out(dirty, project, scratch) as tree:
        assert (tree / "ticketlab" / "prune.py").read_text() == "KEEP = 0.2\n"
        assert (project / "ticketlab" / "prune.py").read_text() == "KEEP = 0.1\n"
    assert list(scratch.iterdir()) == []
    assert len(git("worktree", "list").splitlines()) == 1


def test_neither_hooks_nor_git_variables_of_the_caller_have_a_say(
    project: Path, git: Git, dirty: Code, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = project / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {scratch / 'hooked'}\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_INDEX_FILE", str(scratch / "index"))
    with checked_out(dirty, project, scratch) as tree:
        assert (tree / "ticketlab" / "prune.py").read_text() == "KEEP = 0.2\n"
    assert list(scratch.iterdir()) == []


def test_a_patch_of_other_bytes_is_not_applied(project: Path, git: Git, dirty: Code, scratch: Path) -> None:
    assert dirty.patch is not None
    kept = project / ".ticketlab" / "blobs" / dirty.patch.sha256
    kept.write_bytes(kept.read_bytes().replace(b"0.2", b"0.3"))
    with pytest.raises(CorruptFile, match="not the one that was recorded"), checked_out(dirty, project, scratch):
        raise AssertionError("nothing is checked out")
    kept.unlink()
    with pytest.raises(LedgerError, match="patch of the recorded tree is not here"):
        checked_out(dirty, project, scratch).__enter__()
    assert len(git("worktree", "list").splitlines()) == 1


def test_what_is_not_here_is_refused_with_another_way(project: Path, git: Git, dirty: Code, scratch: Path) -> None:
    elsewhere = project.parent / "elsewhere"
    elsewhere.mkdir()
    for code, folder, said in (
        (replace(dirty, commit=None), project, "outside git"),
        (replace(dirty, commit="0" * 40, patch=None), project, "git worktree failed"),
        (replace(dirty, patch=None), project, "does not hold the ticketlab that ran"),
        (replace(dirty, patch=None), elsewhere, "no git repository"),
    ):
        with pytest.raises(LedgerError, match=said) as refused, checked_out(code, folder, scratch):
            raise AssertionError("nothing is checked out")
        assert "--code here" in refused.value.mend
    assert len(git("worktree", "list").splitlines()) == 1
