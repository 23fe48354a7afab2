"""Packages add members to the families of the spec, and may import these modules in any order."""

from __future__ import annotations

import os
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


EVERY = {
    "arms": ("arm:ArmChoice", "kind", ""),
    "models": (
        "modelling:ClassifierChoice",
        "kind",
        "trains: ClassVar[Task] = CLASSIFIER\n    networks: ClassVar = ('odd',)",
    ),
    "heads": ("head:HeadChoice", "kind", ""),
    "initialisers": ("initial:Initialiser", "kind", ""),
    "methods": ("drawing:Drawn", "method", ""),
    "scopes": ("scope:ScopeChoice", "kind", ""),
    "structures": ("structure:StructureChoice", "kind", ""),
    "objectives": (
        "train:Objective",
        "objective",
        "optimizer: Optimizer = Field(description='How.')\n"
        "    regularisers: tuple[Regularisation, ...] = Field(default=(), description='More.')",
    ),
    "optimizers": ("optimizer:OptimizerChoice", "kind", "lr: float = Field(default=0.5, description='Rate.')"),
    "rate_schedules": ("rate_schedule:RateChoice", "kind", ""),
    "augmentations": ("section:Choice", "kind", ""),
    "regularisers": ("regulariser:RegulariserChoice", "kind", ""),
    "extractors": ("evaluate:ExtractorChoice", "kind", ""),
    "starts": ("start:StartChoice", "kind", "names: str = Field(default='moco', description='Names.')"),
    "metrics": ("metric:MetricChoice", "kind", "measures: ClassVar = (CLASSIFIER,)"),
}
OFF_THE_PAGE = {"labels": ("labelling:LabelKind", "kind", "")}
"""Families of which no spec names a member: a dataset has one."""
MEMBER = '''
from ticketlab.spec.{module} import {base}


class {name}({base}):
    """Odd."""

    made_by: ClassVar[str] = "odd_ticket:made"
    about: ClassVar[str] = "odd"
    {tag}: Literal["{name}"] = Field(default="{name}", description="Odd.")
    {extra}
'''
HEAD = """from typing import ClassVar, Literal

from pydantic import Field

from ticketlab.spec.optimizer import Optimizer
from ticketlab.spec.regulariser import Regularisation
from ticketlab.spec.task import CLASSIFIER, Task
"""
ASK_ALL = """
import json
from jsonschema import Draft202012Validator
from ticketlab.spec.labelling import label_kinds
from ticketlab.spec.schema import json_schema
from ticketlab.spec.section import Family
from ticketlab.spec.spec import Spec

def page(member):
    return {
        "name": "x",
        "data": {"dataset": "mnist"},
        "model": {"kind": "odd_models", "init": member("initialisers"), "start": member("starts"),
                  "head": member("heads")},
        "ticket": {"method": "odd_methods", "schedule": {"rate": 0.5},
                   "scope": member("scopes"), "structure": member("structures")},
        "train": {"objective": "odd_objectives", "steps": 1, "optimizer": member("optimizers"),
                  "rate_schedule": member("rate_schedules"), "augment": [member("augmentations")],
                  "regularisers": [member("regularisers")]},
        "evaluate": {"metrics": [member("metrics")], "extractor": member("extractors")},
        "arms": ["ticket", member("arms")],
    }

by_name = page(lambda plural: "odd_" + plural)
written = page(lambda plural: {"kind": "odd_" + plural})
specs = [Spec.model_validate_json(json.dumps(one), strict=True) for one in (by_name, written)]
assert specs[0] == specs[1]
asks = json.dumps(specs[0].asks())
validator = Draft202012Validator(json_schema())
families = sorted(one.plural for one in Family.__subclasses__())
assert all('"odd_' + plural + '"' in asks for plural in families if plural != "labels")
assert list(label_kinds()) == ["class", "map", "odd_labels"]
for one in (by_name, written, {**written, "model": "odd_models"}):
    assert list(validator.iter_errors(one)) == []
for path in (("model", "init"), ("ticket", "scope"), ("train", "optimizer"), ("evaluate", "extractor")):
    wrong = json.loads(json.dumps(by_name))
    wrong[path[0]][path[1]] += "s"
    assert len(list(validator.iter_errors(wrong))) == 1
print(*families)
"""


def test_every_family_takes_a_member_of_a_package_by_name_or_written_out(installed: Path) -> None:
    everyone = {**EVERY, **OFF_THE_PAGE}
    members = [
        MEMBER.format(
            module=home.partition(":")[0], base=home.partition(":")[2], name=f"odd_{plural}", tag=tag, extra=extra
        )
        for plural, (home, tag, extra) in everyone.items()
    ]
    (installed / "odd_ticket.py").write_text(HEAD + "".join(members))
    points = "".join(f"[ticketlab.{plural}]\nodd = odd_ticket:odd_{plural}\n" for plural in everyone)
    (installed / "odd_ticket-1.dist-info" / "entry_points.txt").write_text(points)
    code = f"import sys; sys.path.insert(0, {str(installed)!r})\n{ASK_ALL}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (sorted(everyone), "")


BROKEN = {
    "class Odd(Drawn):\n    scores_need = frozenset({'losses'})": "TypeError: Odd looks at inputs or losses, so it is a Probed",
    "import no_such_package": "ModuleNotFoundError: No module named 'no_such_package'",
    "Odd = 3": "odd-ticket registers odd_ticket:Odd, which is no Choice",
    "class Odd(Choice):\n    pass": "which is no Choice (ticketlab/spec/section.py) with a field `method`",
    "Other = 3": "AttributeError: ",
    "from ticketlab.spec.ticket import Random as Odd": "two methods are registered under one name: random",
}


@pytest.mark.parametrize("source", BROKEN)
def test_a_package_that_cannot_be_loaded_is_named_with_its_mend_by_every_command(source: str, installed: Path) -> None:
    head = "from ticketlab.spec.drawing import Drawn\nfrom ticketlab.spec.section import Choice\n"
    (installed / "odd_ticket.py").write_text(head + source)
    (installed / "odd_ticket-1.dist-info" / "entry_points.txt").write_text(
        "[ticketlab.methods]\nodd = odd_ticket:Odd\n"
    )
    paths = os.pathsep.join([str(installed), *sys.path])
    command = [sys.executable, "-m", "ticketlab", "methods"]
    variables = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    assert done.returncode == 1
    assert BROKEN[source] in done.stderr
    first, mend = done.stderr.splitlines()
    assert "odd = odd_ticket:Odd" in first
    assert mend.startswith(("  -> repair odd-ticket, or remove it: pip uninstall odd-ticket", "  -> remove one of"))
