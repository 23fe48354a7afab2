"""What git knows of the code at hand: the commit, the tree of the working state, and the patch between them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ticketlab.errors import EnvironmentProblem

WRITTEN_BY_RUNS = ("ledger.jsonl", "dvc.lock", "**/*.dvc", "*.dvc", "runs/**")
"""Tracked files that running changes. They are results, not code; a ledger must not contain its own growth."""

_SETTINGS = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.safecrlf": "false",
    "core.quotePath": "true",
    "diff.algorithm": "myers",
    "diff.context": "3",
    "diff.interHunkContext": "0",
    "diff.mnemonicPrefix": "false",
    "diff.noprefix": "false",
    "diff.orderFile": os.devnull,
    "diff.submodule": "short",
}
"""The user's git settings that would change a patch, or run a program of theirs."""


@dataclass(frozen=True)
class WorkingState:
    """`tree` is the git tree of tracked files as they are now, and chosen untracked ones; `commit` None before any."""

    commit: str | None
    tree: str
    dirty: bool


class Repository:
    """The git repository around a folder; None from `around` where there is none, or git is not installed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def around(cls, folder: Path) -> Repository | None:
        """The repository whose working tree holds `folder`."""
        if shutil.which("git") is None:
            return None
        found = _git(folder, {}, "rev-parse", "--show-toplevel")
        return cls(Path(os.fsdecode(found.stdout.rstrip(b"\n"))).resolve()) if found.returncode == 0 else None

    @classmethod
    def of_code(cls, package: Path, project: Path) -> Repository | None:
        """The project's repository: in the working tree that holds `package`, if it has more than one."""
        ours, its = cls.around(project), cls.around(package)
        return its if ours and its and ours._shared() == its._shared() else ours

    def _shared(self) -> Path:
        """The folder that all working trees of the repository share."""
        found = self._ask({}, "rev-parse", "--git-common-dir")
        return (self.root / os.fsdecode(found.rstrip(b"\n"))).resolve()

    def working_state(self, package: Path, patch: Path) -> WorkingState:
        """Write the patch from the last commit to the working state into the file `patch`, and say what the two are.

        The working state is every tracked file, and the `*.py` and `*.yaml` below `package` that git neither tracks nor
        ignores; `git apply` makes it again. The repository is not written to: the index is a copy, new objects go to a
        scratch folder. EnvironmentProblem if git fails.
        """
        with tempfile.TemporaryDirectory() as scratch:
            index, objects = Path(scratch, "index"), Path(scratch, "objects")
            objects.mkdir()
            here = self._path("index")
            if here.exists():
                shutil.copy2(here, index)  # its time too: git rereads what changed in the index's own second
            variables = {
                "GIT_INDEX_FILE": str(index),
                "GIT_OBJECT_DIRECTORY": str(objects),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self._path("objects")),
            }
            self._stage(package, variables)
            return self._compare(patch, variables)

    def add_worktree(self, folder: Path, commit: str) -> Repository:
        """Check a commit out into the new folder `folder`, no branch; EnvironmentProblem if git fails."""
        self._ask({}, "worktree", "add", "--detach", "--quiet", "--", str(folder), commit)
        return Repository(folder)

    def remove_worktree(self, folder: Path) -> None:
        """Take away what `add_worktree` made, changed or not; EnvironmentProblem if git fails."""
        self._ask({}, "worktree", "remove", "--force", "--", str(folder))

    def apply(self, patch: Path) -> None:
        """Change the working tree as the patch in a file says; EnvironmentProblem if it does not fit."""
        self._ask({}, "apply", "--", str(patch))

    def _stage(self, package: Path, variables: Mapping[str, str]) -> None:
        self._ask(variables, "add", "-u", "--", ".")
        if package.is_relative_to(self.root):
            inside = package.relative_to(self.root).as_posix()
            kinds = [f":(glob){inside}/**/*.{ending}" for ending in ("py", "yaml")]
            found = self._ask(variables, "ls-files", "-z", "--others", "--exclude-standard", "--", *kinds)
            literal = {**variables, "GIT_LITERAL_PATHSPECS": "1"}
            self._ask(literal, "add", "--pathspec-from-file=-", "--pathspec-file-nul", given=found)
        self._ask(variables, "reset", "-q", "--", *(f":(glob){pattern}" for pattern in WRITTEN_BY_RUNS))

    def _compare(self, patch: Path, variables: Mapping[str, str]) -> WorkingState:
        commit = self._quiet("rev-parse", "--verify", "-q", "HEAD^{commit}")
        base = (
            self._quiet("rev-parse", "--verify", "-q", "HEAD^{tree}")
            or self._ask(variables, "hash-object", "-t", "tree", "--stdin").decode().strip()
        )
        tree = self._ask(variables, "write-tree").decode().strip()
        shown = ("--cached", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
        with patch.open("wb") as handle:
            self._ask(variables, "diff", *shown, base, into=handle.fileno())
        return WorkingState(commit, tree, tree != base)

    def _quiet(self, *words: str) -> str | None:
        return _git(self.root, {}, *words).stdout.decode().strip() or None

    def _path(self, name: str) -> Path:
        found = self._ask({}, "rev-parse", "--git-path", name)
        return self.root / os.fsdecode(found.rstrip(b"\n"))

    def _ask(self, variables: Mapping[str, str], *words: str, given: bytes = b"", into: int = subprocess.PIPE) -> bytes:
        answer = _git(self.root, variables, *words, given=given, into=into)
        if answer.returncode:
            what = f"git {words[0]} failed: {answer.stderr.decode(errors='replace').strip()[:500]}"
            raise EnvironmentProblem(what, where=str(self.root))
        return answer.stdout or b""


def _git(
    folder: Path, variables: Mapping[str, str], *words: str, given: bytes = b"", into: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    around = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    around |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", **variables}
    return subprocess.run(
        ["git", *settings, *words],
        cwd=folder,
        env=around,
        input=given,
        stdout=into,
        stderr=subprocess.PIPE,
        check=False,
    )
