"""An error that a user can act on is one screen on stderr with its exit code, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PAGE = """\
name: demo
data: {dataset: fashion-mnist-mini}
model: {kind: lenet}
train: {objective: cross_entropy, steps: 10}
"""

MISTAKES = [
    (["validate", "none.yaml"], "no such file"),
    (["validate", "page.yaml", "--set", "train.stepz=3"], "steps"),
    (["validate", "page.yaml", "--set", "train.steps=-1"], "--set train.steps=-1"),
    (["run", "page.yaml", "--set", "model.kind=lenett"], "lenet"),
    (["run", "page.yaml", "--set", "data.dataset=cifar11"], "cifar10"),
    (["plan", "page.yaml", "--set", "train.objective=hinge"], "train.objective"),
    (["run", "tabs.yaml"], "tabs.yaml:2:1"),
    (["run", "binary.yaml"], "binary.yaml"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.yaml").write_text(PAGE)
    (tmp_path / "tabs.yaml").write_text("name: x\n\tseed: 1\n")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00name")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_mistake_in_a_spec_is_exit_code_two_and_one_screen(arguments: list[str], said: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ticketlab", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert 1 <= len(done.stderr.splitlines()) <= 24
    assert not (folder / ".ticketlab").exists()


def test_an_entry_that_is_not_in_the_ledger_is_exit_code_one(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ticketlab", "ledger", "show", "7"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no entry" in done.stderr
    assert "Traceback" not in done.stderr
