"""The code of a recorded run in a folder of its own: its commit, and the patch of a tree that was dirty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ticketlab.errors import EnvironmentProblem, LedgerError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger.blobs import kept
from ticketlab.ledger.capture import sources
from ticketlab.ledger.facts import Code
from ticketlab.ledger.git import Repository


@contextmanager
def checked_out(code: Code, project: Path, scratch: Path) -> Iterator[Path]:
    """A temporary worktree with the recorded code; the user's own tree and index are left alone.

    LedgerError if the run was recorded outside git, or its commit or patch is not here; CorruptFile if the patch is
    another than the recorded one.
    """
    if code.commit is None:
        raise LedgerError("the run was recorded outside git, so its code is not at hand", mend="--code here")
    patch = kept(project, code.patch) if code.patch else None
    if code.patch and patch is None:
        raise LedgerError("the patch of the recorded tree is not here", where=code.patch.sha256, mend="--code here")
    repository = Repository.around(project)
    if repository is None:
        raise LedgerError("no git repository is here to take the recorded commit from", mend="--code here")
    worktree = scratch / "code"
    with _code_here_instead():
        tree = repository.add_worktree(worktree, code.commit)
    try:
        if patch is not None:
            with _code_here_instead():
                tree.apply(patch)
        _check_sources(worktree / "ticketlab", code)
        yield worktree
    finally:
        repository.remove_worktree(worktree)


def _check_sources(package: Path, code: Code) -> None:
    """LedgerError if the checked-out package is not the one that ran: a project may use a ticketlab from elsewhere."""
    if sha256_bytes(canonical_json(sources(package))) != code.sources:
        raise LedgerError(
            "the recorded commit does not hold the ticketlab that ran, which was installed apart from the project",
            where=code.commit or "",
            mend="install the ticketlab that ran (`ticketlab ledger show` has its release), then --code here",
        )


@contextmanager
def _code_here_instead() -> Iterator[None]:
    """Say of a failure of git what else can be done."""
    try:
        yield
    except EnvironmentProblem as error:
        raise LedgerError(error.what, where=error.where, mend="--code here") from error
