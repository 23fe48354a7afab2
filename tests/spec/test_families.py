"""Packages add members to the families of the spec, and may import these modules in any order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEMBERS = '''
from typing import ClassVar, Literal

from pydantic import Field
{imports}


class Odd(Drawn):
    """Keep every odd weight."""

    made_by: ClassVar[str] = "odd_ticket:scores"
    about: ClassVar[str] = "odd weights"
    method: Literal["odd"] = Field(default="odd", description="Odd.")


class Tiny(ModelChoice):
    """A network."""

    made_by: ClassVar[str] = "odd_ticket:blueprint"
    about: ClassVar[str] = "a network"
    trains: ClassVar[Task] = CLASSIFIER
    networks: ClassVar[tuple[str, ...]] = ("classifier",)
    kind: Literal["tiny_thing"] = Field(default="tiny_thing", description="Tiny.")


class Plain(Objective):
    """An objective."""

    made_by: ClassVar[str] = "odd_ticket:training"
    about: ClassVar[str] = "an objective"
    trains: ClassVar[Task] = CLASSIFIER
    objective: Literal["plain"] = Field(default="plain", description="Plain.")
'''
IMPORTS = [
    "from ticketlab.spec.drawing import Drawn",
    "from ticketlab.spec.model import ModelChoice",
    "from ticketlab.spec.task import CLASSIFIER, Task",
    "from ticketlab.spec.train import Objective",
    "import ticketlab.spec.evaluate",
]
POINTS = """
[ticketlab.methods]
odd = odd_ticket:Odd
[ticketlab.models]
tiny = odd_ticket:Tiny
[ticketlab.objectives]
plain = odd_ticket:Plain
"""
ASK = """
import {first}
from ticketlab.spec.spec import Spec
page = {{"name": "x", "data": {{"dataset": "mnist"}}, "model": {{"kind": "tiny_thing"}},
        "ticket": {{"method": "odd", "schedule": {{"rate": 0.5}}}}, "train": {{"objective": "plain", "steps": 1}}}}
found = Spec.model_validate(page)
print(found.ticket.name, found.model.name, found.train.name)
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with a package as pip would install it, entry points included."""
    facts = tmp_path / "odd_ticket-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-ticket\nVersion: 1\n")
    (facts / "entry_points.txt").write_text(POINTS)
    return tmp_path


@pytest.mark.parametrize("first", ["odd_ticket", "ticketlab.spec.spec", "ticketlab.spec.ticket", "ticketlab"])
@pytest.mark.parametrize("turn", range(len(IMPORTS)))
def test_a_package_is_found_whatever_is_imported_first(first: str, turn: int, installed: Path) -> None:
    imports = [*IMPORTS[turn:], *IMPORTS[:turn]]
    (installed / "odd_ticket.py").write_text(MEMBERS.format(imports="\n".join(imports)))
    code = f"import sys; sys.path.insert(0, {str(installed)!r})\n" + ASK.format(first=first)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["odd", "tiny_thing", "plain"], "")
