"""A clock that goes backwards changes no result, and a wish to stop ends a run with one line on how to go on."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from typing import Any

import pytest

BACK_IN_TIME = """
import datetime, sys, time

real, real_ns, begun = time.time, time.time_ns, time.time()
# From a quarter of a second on, a minute back every tenth of one.
lag = lambda: 60.0 * int(max(0.0, real() - begun - 0.25) * 10)
time.time = lambda: real() - lag()
time.time_ns = lambda: real_ns() - int(lag() * 1e9)

class Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(time.time(), tz)

datetime.datetime = Datetime
from ticketlab.cli.main import main
sys.argv = ["ticketlab", "run", "specs/small.yaml"]
main()
"""


def sound(lab: Any, undisturbed: Any) -> None:
    assert lab.published() == undisturbed.published()
    assert lab.entries() == undisturbed.entries()
    code, said = lab.ticketlab("reconcile")
    assert code == 0, said
    assert set(lab.rows().values()) == {1}
    assert lab.rows().total() == lab.journal_rows()
    assert set(lab.statuses().values()) == {"FINISHED"}


@pytest.mark.long
def test_a_clock_that_goes_backwards_while_it_runs_changes_nothing(lab: Any, undisturbed: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BACK_IN_TIME], cwd=lab.root, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sound(lab, undisturbed)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
def test_a_run_that_goes_on_two_days_before_it_was_stopped_ends_the_same(
    lab: Any, undisturbed: Any, until: Any
) -> None:
    process = lab.start("run", "specs/small.yaml")
    until(lambda: any((lab.root / ".ticketlab" / "journals").iterdir()), process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    code, said = lab.ticketlab(
        "run", "specs/small.yaml", before=("faketime", "-f", "-2d"), FAKETIME_DONT_FAKE_MONOTONIC="1"
    )
    assert code == 0, said
    sound(lab, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_wish_to_stop_ends_it_with_one_line_how_to_go_on(
    lab: Any, training: Any, until: Any, number: signal.Signals
) -> None:
    process = training(lab, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    process.send_signal(number)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "  -> the same command goes on from here"
    assert said.splitlines()[-2].startswith("stopped at step ")
    assert len(list((lab.root / ".ticketlab" / "work").rglob("checkpoint.safetensors"))) == 1
