from __future__ import annotations

import getpass
import json
import platform
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from ticketlab.errors import EnvironmentProblem
from ticketlab.files import canonical_json
from ticketlab.ledger import capture


def git(folder: Path, *words: str) -> str:
    settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *settings, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a package in git, one commit."""
    project = tmp_path / "project"
    (project / "lab").mkdir(parents=True)
    (project / "lab" / "prune.py").write_text("KEEP = 0.1\n")
    (project / "notes.txt").write_text("old\n")
    (project / "ledger.jsonl").write_text("")
    (project / ".gitignore").write_text(".ticketlab/\nignored.py\n")
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "first")
    return project


def patch_of(project: Path) -> bytes:
    code = capture.code(project, project / "lab")
    assert code.patch is not None
    assert code.patch.kept
    content = (project / ".ticketlab" / "blobs" / code.patch.sha256).read_bytes()
    assert (sha256(content).hexdigest(), len(content)) == (code.patch.sha256, code.patch.size)
    return content


def test_a_clean_tree_is_its_commit_and_no_patch(project: Path) -> None:
    code = capture.code(project, project / "lab")
    assert code.commit == git(project, "rev-parse", "HEAD")
    assert code.tree == git(project, "rev-parse", "HEAD^{tree}")
    assert code.patch is None
    assert code.patch is None


def test_the_patch_makes_the_dirty_tree_again_from_the_commit(project: Path, tmp_path: Path) -> None:
    (project / "lab" / "prune.py").write_text("KEEP = 0.2\n")
    (project / "lab" / "method.py").write_text("NEW = 1\n")
    (project / "lab" / "deep").mkdir()
    (project / "lab" / "deep" / "spec.yaml").write_text("seed: 1\n")
    (project / "notes.txt").unlink()
    (project / "image.bin").write_bytes(bytes(range(256)))
    git(project, "add", "image.bin")
    code = capture.code(project, project / "lab")
    patch = tmp_path / "patch"
    patch.write_bytes(patch_of(project))
    git(project, "worktree", "add", "-q", str(tmp_path / "again"), str(code.commit))
    git(tmp_path / "again", "apply", "--index", str(patch))
    assert git(tmp_path / "again", "write-tree") == code.tree
    assert (tmp_path / "again" / "lab" / "prune.py").read_text() == "KEEP = 0.2\n"
    assert (tmp_path / "again" / "lab" / "deep" / "spec.yaml").read_text() == "seed: 1\n"
    assert not (tmp_path / "again" / "notes.txt").exists()
    assert (tmp_path / "again" / "image.bin").read_bytes() == bytes(range(256))


def test_untracked_files_that_are_not_source_of_the_package_are_left_alone(project: Path) -> None:
    (project / "lab" / "method.py").write_text("NEW = 1\n")
    for secret in ("secret.yaml", "secret.py", "lab/secret.txt", "lab/.env", "lab/ignored.py"):
        (project / secret).write_text("TOKEN\n")
    patch = patch_of(project)
    assert b"method.py" in patch
    assert b"TOKEN" not in patch


def test_what_runs_write_is_no_change_of_code(project: Path) -> None:
    (project / "ledger.jsonl").write_text("{}\n")
    (project / "dvc.lock").write_text("a\n")
    (project / "runs").mkdir()
    (project / "runs" / "model.dvc").write_text("a\n")
    git(project, "add", "dvc.lock", "runs/model.dvc")
    assert capture.code(project, project / "lab").patch is None


def test_looking_changes_nothing_in_the_repository(project: Path) -> None:
    (project / "lab" / "prune.py").write_text("KEEP = 0.2\n")
    (project / "lab" / "method.py").write_text("NEW = 1\n")
    state = git(project, "status", "--porcelain")
    inside = {path: path.read_bytes() for path in (project / ".git").rglob("*") if path.is_file()}
    capture.code(project, project / "lab")
    assert {path: path.read_bytes() for path in (project / ".git").rglob("*") if path.is_file()} == inside
    assert git(project, "status", "--porcelain") == state


def test_the_patch_does_not_depend_on_the_settings_of_the_user(project: Path) -> None:
    (project / "lab" / "prune.py").write_text("KEEP = 0.2\n")
    plain = patch_of(project)
    for name, value in {
        "diff.noprefix": "true",
        "diff.context": "0",
        "color.ui": "always",
        "diff.external": "false",
        "core.abbrev": "5",
        "diff.mnemonicPrefix": "true",
    }.items():
        git(project, "config", name, value)
    assert patch_of(project) == plain


def test_an_edit_within_the_second_of_the_commit_is_seen(project: Path) -> None:
    for number in range(5):
        (project / "lab" / "prune.py").write_text(f"KEEP = {number}.5\n")
        git(project, "commit", "-q", "-a", "-m", "next")
        (project / "lab" / "prune.py").write_text(f"KEEP = {number}.6\n")
        assert capture.code(project, project / "lab").patch


def test_a_project_in_a_folder_of_a_repository_sees_the_whole_repository(project: Path) -> None:
    inner = project / "inner"
    inner.mkdir()
    (project / "notes.txt").write_text("new\n")
    code = capture.code(inner, project / "lab")
    assert code.patch
    assert code.commit == git(project, "rev-parse", "HEAD")
    assert code.tree == capture.code(project, project / "lab").tree


def test_a_repository_without_a_commit_is_all_patch(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "prune.py").write_text("KEEP = 0.1\n")
    code = capture.code(tmp_path, tmp_path / "lab")
    assert code.commit is None
    assert code.patch
    assert b"KEEP" in patch_of(tmp_path)


def test_a_patch_that_is_too_large_is_known_by_digest_only(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "LARGEST_BLOB", 10)
    (project / "lab" / "prune.py").write_text("KEEP = 0.2\n")
    code = capture.code(project, project / "lab")
    assert code.patch is not None
    assert not code.patch.kept
    assert not (project / ".ticketlab" / "blobs" / code.patch.sha256).exists()


def test_outside_git_the_code_is_the_list_of_its_sources(tmp_path: Path) -> None:
    package = tmp_path / "lab"
    (package / "__pycache__").mkdir(parents=True)
    (package / "prune.py").write_text("KEEP = 0.1\n")
    (package / "__pycache__" / "stale.py").write_text("")
    code = capture.code(tmp_path, package)
    listed = {"lab/prune.py": sha256(b"KEEP = 0.1\n").hexdigest()}
    assert (code.commit, code.tree, code.patch) == (None, None, None)
    assert code.sources == sha256(canonical_json(listed)).hexdigest()
    assert json.loads((tmp_path / ".ticketlab" / "blobs" / code.sources).read_bytes()) == listed
    (package / "prune.py").write_text("KEEP = 0.2\n")
    assert capture.code(tmp_path, package).sources != code.sources


def test_git_that_fails_says_so(project: Path) -> None:
    (project / ".git" / "index").write_bytes(b"broken")
    with pytest.raises(EnvironmentProblem, match=r"git .* failed"):
        capture.code(project, project / "lab")


def test_git_variables_of_the_caller_do_not_lead_astray(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(project / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(project / "no-index"))
    assert capture.code(project, project / "lab").commit is not None


def test_packages_name_their_versions_in_order() -> None:
    packages = capture.packages()
    assert packages["torch"] == torch.__version__.split("+")[0] or packages["torch"] == torch.__version__
    assert list(packages) == sorted(packages)
    assert "ticketlab" in packages
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in packages} == packages.keys()
    assert "ruamel-yaml" in packages


def test_the_machine_is_described_without_naming_host_user_or_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hunter2-hunter2")
    machine, switches = capture.machine(), capture.determinism()
    text = canonical_json({"machine": machine, "switches": switches, "packages": capture.packages()}).decode()
    assert "hunter2" not in text
    assert "/" not in canonical_json(switches).decode()
    values = {str(value) for value in (*machine.values(), *switches.values())}
    assert not values & {platform.node(), getpass.getuser(), str(Path.home())}
    assert machine["memory"] > 2**20
    assert machine["cores"] >= 1
    assert machine["python"].endswith(platform.python_version())
    assert machine["cpu_capability"] == torch.backends.cpu.get_cpu_capability()


def test_the_switches_are_those_set_now() -> None:
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    try:
        for count, choice in ((2, True), (1, False)):
            torch.set_num_threads(count)
            torch.backends.cudnn.benchmark = choice
            torch.set_flush_denormal(choice)
            found = capture.determinism()
            assert (found["threads"], found["cudnn_benchmark"], found["flush_denormal"]) == (count, choice, choice)
        assert found["deterministic_algorithms"] == torch.are_deterministic_algorithms_enabled()
        assert found["torch"] == str(torch.__version__)
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
        torch.backends.cudnn.benchmark = benchmark


def test_the_ledger_is_imported_without_torch() -> None:
    names = ("anchor", "capture", "chain", "diff", "export", "listing", "signing", "statement")
    imports = "; ".join(f"import ticketlab.ledger.{name}" for name in names)
    script = f"import sys; {imports}; sys.exit(bool({{'torch', 'cryptography'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
