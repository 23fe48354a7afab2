"""Where DVC fails at the end of a run, the run is not closed: the same command tells DVC again, and does nothing else."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import ticketlab
from ticketlab.run.events import Event, Notice
from ticketlab.run.experiment import is_done, open_experiment
from ticketlab.tracking import dvc
from ticketlab.tracking.pipeline import md5_of


@pytest.mark.long
def test_dvc_is_told_again_until_it_has_understood(lab: Any, torch_as_before: None, nobody_answers: None) -> None:
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=lab.root, check=True, capture_output=True)
    (lab.root / "dvc.yaml").write_text("stages: [")
    (lab.root / "data.dvc").write_text("<<<<<<< HEAD\nouts:\n")
    events: list[Event] = []
    assert ticketlab.run(lab.spec, listener=events.append).failures == []
    assert [event.text for event in events if isinstance(event, Notice) and event.text.startswith("DVC: ")]
    assert not is_done(open_experiment(lab.spec))
    before = lab.published()

    (lab.root / "dvc.yaml").unlink()
    (lab.root / "data.dvc").unlink()
    events.clear()
    assert ticketlab.run(lab.spec, listener=events.append).failures == []
    assert all(isinstance(event, Notice) and "DVC" not in event.text for event in events), events
    assert is_done(open_experiment(lab.spec))
    assert dvc.status(lab.root) == {}
    assert md5_of(lab.root, "runs/small/tickets")
    assert {name: digest for name, digest in lab.published().items() if name in before} == before
    assert len(lab.entries()) == 2
