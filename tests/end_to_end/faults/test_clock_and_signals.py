"""A clock that goes backwards changes no result, and a wish to stop ends a run with one line on how to go on."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ticketlab.files import sha256_file
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.facts import Artifact
from ticketlab.ledger.listing import summary
from ticketlab.ledger.statement import facts, provenance

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


STATISTICS = """\
name: gan
data: {dataset: specks, size: 32, fit: pad}
model: {kind: sngan, width: 4, critic_width: 4, latent: 8}
ticket: {method: magnitude, schedule: {density: 0.3}, rewind: {step: 1}}
train: {objective: hinge, steps: 4, batch: 8, generator_batch: 8, n_critic: 1}
evaluate: {samples: 32, metrics: [frechet], extractor: {kind: lab_classifier, steps: 100000}}
compute: {device: cpu, threads: 1, log_every: 1}
"""


@pytest.mark.long
def test_a_wish_to_stop_ends_statistics_which_go_on_from_there(lab: Any, until: Any) -> None:
    (lab.root / "specs" / "gan.yaml").write_text(STATISTICS)
    process = lab.start("statistics", "specs/gan.yaml")
    until(lambda: any(path.stat().st_size for path in (lab.root / ".ticketlab/journals").iterdir()), process)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[0]
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert said.splitlines()[-1] == "  -> the same command goes on from here"
    assert len(list((lab.root / ".ticketlab" / "work").rglob("checkpoint.safetensors"))) == 1


def record_of(lab: Any, **changes: Any) -> None:
    """An entry like the first, but for what is given."""
    chain = Chain(lab.root / "ledger.jsonl")
    chain.append(provenance(replace(facts(next(chain.entries()).statement), **changes)))


@pytest.mark.long
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_wish_to_stop_ends_a_verification_and_nothing_is_left_of_it(
    done: Any, until: Any, options: tuple[str, ...]
) -> None:
    spec = dict(facts(next(Chain(done.root / "ledger.jsonl").entries()).statement).spec)
    endless = {"train": {**spec["train"], "steps": 100000}, "evaluate": {**spec["evaluate"], "every": 100000}}
    record_of(done, run="endless", spec={**spec, **endless})
    process = done.start("verify", "endless", *options)
    scratch = done.root / ".ticketlab" / "scratch"
    until(lambda: any(path.stat().st_size for path in scratch.glob("verify-*/journals/*")), process)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[0]
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert said.splitlines()[-1] == "  -> the same command begins again"
    assert list(scratch.iterdir()) == []
    assert [summary(entry).kind for entry in Chain(done.root / "ledger.jsonl").entries()] == ["run"] * 3


@pytest.mark.long
def test_a_wish_to_stop_ends_a_look_at_files_between_two_of_them(done: Any, until: Any) -> None:
    zeros = 2**26
    with (done.root / "large").open("wb") as handle:
        handle.truncate(zeros)
    digest = sha256_file(done.root / "large")
    record_of(done, run="large", subjects=tuple(Artifact(f"large-{one}", digest, path="large") for one in range(2000)))
    process = done.start("verify", "--quick", "large")
    # Only where it is caught does Linux list the signal of a process.
    status = Path("/proc", str(process.pid), "status")
    until(lambda: int(re.search(r"SigCgt:\s+(\w+)", status.read_text())[1], 16) >> (signal.SIGTERM - 1) & 1, process)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[0]
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert said.splitlines()[-1] == "  -> the same command begins again"
