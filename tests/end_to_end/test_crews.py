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
compute: {device: cpu}
"""

CREW = '''
"""A crew of other processes, on one core each, that are told what to do as orders."""

import os
import subprocess
import sys
from pathlib import Path

from ticketlab.errors import StepFailed
from ticketlab.run.order import Order


class Elsewhere:
    def __init__(self, job):
        self.job = job

    def arm(self, address):
        self.hand_over(Order.of(address))

    def step(self, step, address):
        self.hand_over(Order.of(address, [step]))

    def hand_over(self, order):
        place = [str(self.job.project.root), str(self.job.store.root)]
        done = subprocess.run([sys.executable, "-m", __name__, *place], input=order.text(), text=True, stderr=-1)
        if done.returncode:
            raise StepFailed(done.stderr.strip())


def work(root, store):
    from ticketlab.run.events import StepStarted
    from ticketlab.run.project import Project
    from ticketlab.run.store import Store

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    def noted(event):
        if isinstance(event, StepStarted):
            with Path(root, "diary").open("a") as diary:
                diary.write(f"{os.getpid()} {event.title.split()[0]}\\n")

    Order.read(sys.stdin.read()).done(Project(Path(root)), Store(Path(store)), noted)


if __name__ == "__main__":
    work(*sys.argv[1:])
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
    plain: Any, installed: Path, nobody_answers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", beside(installed))
    monkeypatch.syspath_prepend(str(installed))
    elsewhere = crew_named("elsewhere")
    spec = plain.spec("apart", PAGE)

    def performed() -> list[str]:
        return [line.split()[1] for line in (plain.root / "diary").read_text().splitlines()]

    prepare_statistics(open_experiment(spec), engage=elsewhere)
    assert performed() == ["reference"]
    answer = plain.ticketlab("run", "specs/apart.yaml", "--crew", "elsewhere")
    assert answer.code == 0, answer.err
    assert performed() == ["reference", "draw,", "train,", "evaluate"]
    processes = {line.split()[0] for line in (plain.root / "diary").read_text().splitlines()}
    assert len(processes) == 2
    project = Project.around(plain.root)
    entry = next(Chain(project.ledger).entries())
    assert verify(entry, project).finding == "IDENTICAL"
    assert len(performed()) == 4
    assert verify(entry, project, engage=elsewhere).finding == "IDENTICAL"
    assert performed()[4:] == performed()[:4]


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
