"""The code of a recorded run in a folder of its own: its commit, and the patch of a tree that was dirty."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ticketlab.errors import LedgerError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger.capture import sources
from ticketlab.ledger.facts import Code


@contextmanager
def checked_out(code: Code, project: Path, scratch: Path) -> Iterator[Path]:
    """A temporary worktree with the recorded code; the user's own tree and index are left alone.

    LedgerError if the run was recorded outside git, or its commit or patch is not here.
    """
    if code.commit is None:
        raise LedgerError("the run was recorded outside git, so its code is not at hand", mend="--code here")
    worktree = scratch / "code"
    _git(project, "worktree", "add", "--detach", "--quiet", str(worktree), code.commit)
    try:
        if code.patch is not None:
            patch = project / ".ticketlab" / "blobs" / code.patch.sha256
            if not patch.is_file():
                raise LedgerError("the patch of the recorded tree is not here", where=str(patch), mend="--code here")
            _git(worktree, "apply", str(patch))
        _check_sources(worktree / "ticketlab", code)
        yield worktree
    finally:
        _git(project, "worktree", "remove", "--force", str(worktree))


def _check_sources(package: Path, code: Code) -> None:
    """LedgerError if the checked-out package is not the one that ran: a project may use a ticketlab from elsewhere."""
    if sha256_bytes(canonical_json(sources(package))) != code.sources:
        raise LedgerError(
            "the recorded commit does not hold the ticketlab that ran, which was installed apart from the project",
            where=code.commit or "",
            mend="install the ticketlab that ran (`ticketlab ledger show` has its release), then --code here",
        )


def _git(folder: Path, *words: str) -> None:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LedgerError(f"git {words[0]} failed: {done.stderr.strip()[-300:]}", mend="--code here")
