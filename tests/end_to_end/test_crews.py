"""Packages add crews: whoever they are, steps end in the same store with the same bits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ticketlab.errors import EnvironmentProblem
from ticketlab.ledger.chain import Chain
from ticketlab.run.crew import Alone, crew_named
from ticketlab.run.experiment import open_experiment, prepare_statistics
from ticketlab.run.project import Project
from ticketlab.run.verify import verify

PAGE = """\
name: apart
data: {dataset: fashion-mnist-mini, size: 32, fit: pad}
model: {kind: sngan, width: 2, critic_width: 2, latent: 4}
ticket: {method: magnitude, schedule: {density: 0.5}, round_steps: 0}
arms: [ticket]
train: {objective: hinge, steps: 2, batch: 4, generator_batch: 4, n_critic: 1}
evaluate: {metrics: [frechet], samples: 8, extractor: {kind: random_conv, width: 2}}
compute: {device: cpu, threads: 1}
"""

CREW = '''
"""A crew of other processes, each told a cell's resolved spec and the digests of the steps it is to do."""

import json
import os
import subprocess
import sys
from pathlib import Path


class Elsewhere:
    def __init__(self, job):
        self.job = job

    def arm(self, address):
        self.hand_over(address, [step.digest for step in address.plan.steps()])

    def step(self, step, address):
        self.hand_over(address, [step.digest])

    def hand_over(self, address, digests):
        asked = {
            "root": str(self.job.project.root), "smoke": self.job.project.smoke, "store": str(self.job.store.root),
            "spec": address.cell.spec.asks(), "digests": digests,
        }
        subprocess.run([sys.executable, "-m", __name__], input=json.dumps(asked), text=True, check=True)


def work(asked):
    from ticketlab.plan.experiment import Plan, plan_cell
    from ticketlab.run.crew import Alone, Job
    from ticketlab.run.project import Project
    from ticketlab.run.store import Store
    from ticketlab.spec.loading import Cell
    from ticketlab.spec.spec import Spec

    project = Project(Path(asked["root"]), asked["smoke"])
    spec = Spec.model_validate_json(json.dumps(asked["spec"]), strict=True)
    plan = Plan(spec.name, Path(), "", (plan_cell(Cell({}, "", spec), project.home),))
    job = Job(plan, project, Store(Path(asked["store"])), lambda event: None, lambda: False)
    for address, step in plan.steps():
        if step.digest in asked["digests"]:
            with Path(asked["root"], "diary").open("a") as diary:
                diary.write(f"{os.getpid()} {step.kind}\\n")
            Alone(job).step(step, address)


if __name__ == "__main__":
    work(json.load(sys.stdin))
'''


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with a package as pip would install it, which registers the crew `elsewhere`."""
    folder = tmp_path / "site"
    facts = folder / "far_crew-1.dist-info"
    facts.mkdir(parents=True)
    (folder / "far_crew.py").write_text(CREW)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: far-crew\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[ticketlab.crews]\nelsewhere = far_crew:Elsewhere\n")
    return folder


def beside(folder: Path) -> str:
    """The import path of a process that also finds what is in `folder`."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.mark.usefixtures("torch_as_before")
def test_steps_of_another_process_are_the_run_and_have_the_bits_of_this_one(
    plain: Any, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", beside(installed))
    monkeypatch.syspath_prepend(str(installed))
    elsewhere = crew_named("elsewhere")
    spec = plain.spec("apart", PAGE)

    def performed() -> list[str]:
        return [line.split()[1] for line in (plain.root / "diary").read_text().splitlines()]

    prepare_statistics(open_experiment(spec), engage=elsewhere)
    assert performed() == ["statistics"]
    answer = plain.ticketlab("run", "specs/apart.yaml", "--crew", "elsewhere")
    assert answer.code == 0, answer.err
    assert performed() == ["statistics", "statistics", "draw", "train", "evaluate"]
    processes = {line.split()[0] for line in (plain.root / "diary").read_text().splitlines()}
    assert len(processes) == 2
    project = Project.around(plain.root)
    entry = next(Chain(project.ledger).entries())
    assert verify(entry, project).finding == "IDENTICAL"
    assert len(performed()) == 5
    assert verify(entry, project, engage=elsewhere).finding == "IDENTICAL"
    assert performed()[5:] == performed()[1:5]


def test_a_crew_nobody_registered_is_refused_with_those_there_are(plain: Any, installed: Path) -> None:
    plain.spec("apart", PAGE)
    answer = plain.ticketlab("run", "specs/apart.yaml", "--crew", "elswhere", PYTHONPATH=beside(installed))
    assert answer.code == 1
    assert "there is no crew `elswhere`; there are alone, elsewhere" in answer.err
    assert "did you mean `elsewhere`?" in answer.err
    assert not (plain.root / "runs").exists()


def test_this_process_is_a_crew_without_installation() -> None:
    assert crew_named("alone") is Alone


def test_a_crew_that_cannot_be_imported_is_refused_with_a_mend(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(installed))
    (installed / "far_crew-1.dist-info" / "entry_points.txt").write_text(
        "[ticketlab.crews]\nbroken = far_crew:Nobody\n"
    )
    with pytest.raises(EnvironmentProblem, match="cannot be imported"):
        crew_named("broken")


def test_two_crews_of_one_name_are_refused(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    (installed / "far_crew-1.dist-info" / "entry_points.txt").write_text(
        "[ticketlab.crews]\nalone = far_crew:Elsewhere\n"
    )
    with pytest.raises(EnvironmentProblem, match="two crews"):
        crew_named("alone")
