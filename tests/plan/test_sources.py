"""Editing code that a step runs makes it another step; editing what it does not run, or what does not run, does not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ticketlab
from ticketlab.plan.experiment import Plan
from ticketlab.plan.sources import closure, source_digest

PACKAGE = {
    "__init__": "",
    "step": '''
"""What is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import json
from lab import near
from lab.far.off import distance
from lab.spec import asked

if TYPE_CHECKING:
    from lab import types_only


def perform(x: int) -> int:
    """A promise."""
    # why
    return near.halve(x) + distance(x)
''',
    "near": "def halve(x):\n    return x // 2\n",
    "far/__init__": "",
    "far/off": "def distance(x):\n    from lab.deferred import late\n\n    return late(x)\n",
    "deferred": "def late(x):\n    return x\n",
    "types_only": "class Kind: pass\n",
    "unrelated": "def other(): return 1\n",
    "spec": "asked = 1\n",
}

DIGEST = """
import json, sys
from ticketlab.plan.sources import closure, source_digest
print(json.dumps([source_digest(("lab.step",)), closure(("lab.step",))]))
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A package `lab` on a path of its own."""
    for name, text in PACKAGE.items():
        path = tmp_path / "lab" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "lab"


def digest(lab: Path) -> str:
    return digest_and_closure(lab)[0]


def digest_and_closure(lab: Path) -> tuple[str, list[str]]:
    """As a process that starts now sees it."""
    answer = subprocess.run([sys.executable, "-c", DIGEST], cwd=lab.parent, capture_output=True, check=True).stdout
    found: tuple[str, list[str]] = json.loads(answer)
    return found


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_closure_is_all_that_can_run_and_nothing_else(lab: Path) -> None:
    _, found = digest_and_closure(lab)
    assert found == ["lab.deferred", "lab.far.off", "lab.near", "lab.spec", "lab.step"]


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("step", "# why", "# another reason"),
        ("step", '"""A promise."""', '"""Another promise,\n\n    at length.\n    """'),
        ("step", '"""What is done."""', ""),
        ("step", "\n\n\ndef perform", "\n\n\n\n\ndef perform"),
        ("step", "near.halve(x) + distance(x)", "(near.halve(x)\n            + distance(x))"),
        ("step", "from lab import types_only", "from lab import unrelated"),
        ("near", "x // 2", "x//2"),
        ("near", "return", '"a text that does nothing"\n    return'),
    ],
    ids=[
        "comment",
        "docstring",
        "module docstring",
        "blank lines",
        "line break",
        "type-checking import",
        "spaces",
        "idle text",
    ],
)
def test_what_does_not_run_does_not_count(lab: Path, module: str, old: str, new: str) -> None:
    before = digest(lab)
    edit(lab / f"{module}.py", old, new)
    assert digest(lab) == before


@pytest.mark.parametrize("module", ["unrelated", "types_only"])
def test_what_the_step_does_not_reach_does_not_count(lab: Path, module: str) -> None:
    before = digest(lab)
    (lab / f"{module}.py").write_text("raise SystemExit('never imported')\n")
    assert digest(lab) == before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("step", "+ distance", "- distance"),
        ("step", "import json", "import math"),
        ("step", "x: int", "y: int"),
        ("near", "x // 2", "x // 3"),
        ("near", "x // 2", "x // 2.0"),
        ("near", "x // 2", "x // True"),
        ("far/off", "late(x)", "late(-x)"),
        ("deferred", "return x", "return x or None"),
        ("deferred", "return x", "return"),
    ],
)
def test_any_edit_of_code_that_runs_counts(lab: Path, module: str, old: str, new: str) -> None:
    before = digest(lab)
    edit(lab / f"{module}.py", old, new)
    assert digest(lab) != before


def test_an_import_of_another_module_counts(lab: Path) -> None:
    before = digest(lab)
    edit(lab / "near.py", "def halve", "from lab import unrelated\n\n\ndef halve")
    after, found = digest_and_closure(lab)
    assert after != before
    assert "lab.unrelated" in found


def test_the_command_line_and_the_ledger_are_in_no_step_of_the_lab(planned: Callable[..., Plan]) -> None:
    for _, step in planned("gan").steps():
        reached = closure(step.sources())
        assert step.performed_by.partition(":")[0] in reached
        assert not [name for name in reached if name.startswith(("ticketlab.cli", "ticketlab.ledger"))]


def test_the_order_of_the_modules_named_does_not_count() -> None:
    one, two = "ticketlab.training.loop", "ticketlab.tickets.mask"
    assert source_digest((one, two)) == source_digest((two, one, two))


STEPS = """
import json
from pathlib import Path
from ticketlab.run.experiment import open_experiment
import ticketlab
assert Path(ticketlab.__file__).is_relative_to(Path.cwd()), ticketlab.__file__
print(json.dumps([[s.kind, s.digest] for _, s in open_experiment(Path("page.yaml")).plan.steps()]))
"""


CODE = "\nUNUSED_NUMBER = 1\n"


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[], dict[str, list[str]]]:
    """The digests of a plan by kind of step, as a copy of ticketlab in the working folder gives them."""
    source = Path(ticketlab.__file__).parent
    shutil.copytree(source, tmp_path / "ticketlab", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "page.yaml").write_text(
        "name: x\ndata: {dataset: fashion-mnist-mini, ratio: 0.5}\nmodel: {kind: mlp}\narms: [ticket, random]\n"
        "ticket: {method: magnitude, schedule: {rate: 0.5}}\ntrain: {objective: cross_entropy, steps: 3}\n"
    )

    def digests() -> dict[str, list[str]]:
        command = [sys.executable, "-c", STEPS]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
        found: dict[str, list[str]] = {}
        for kind, digest in json.loads(answer):
            found.setdefault(kind, []).append(digest)
        return found

    return digests


def test_an_edit_of_the_lab_repeats_the_steps_it_reaches_and_no_others(
    copied: Callable[[], dict[str, list[str]]], tmp_path: Path
) -> None:
    lab, before = tmp_path / "ticketlab", copied()
    add(lab / "training" / "loop.py", '# words\n"""More words."""\n')
    for unrelated in ("cli/run.py", "spec/quoting.py", "tickets/random.py", "ledger/chain.py", "run/store.py"):
        add(lab / unrelated, CODE)
    assert copied() == before
    add(lab / "tickets" / "controls.py", CODE)
    after = copied()
    assert {kind for kind in before if after[kind] == before[kind]} == {"subset", "draw"}
    assert [new == old for new, old in zip(after["train"], before["train"], strict=True)] == [True, True, False]
    add(lab / "tickets" / "magnitude.py", CODE)
    after = copied()
    assert after["draw"] != before["draw"]
    assert [new == old for new, old in zip(after["train"], before["train"], strict=True)] == [True, False, False]
    add(lab / "training" / "loop.py", CODE)
    assert not set(copied()["train"]) & set(before["train"])
