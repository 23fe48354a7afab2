"""Whoever listens to a run can change nothing of it, not even by going away."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ticketlab
from ticketlab.run.events import Event


def test_a_run_goes_on_when_its_reader_has_gone(specks: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "ticketlab", "run", "specs/small.yaml"]
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(command, cwd=specks, stdout=pipe, stderr=subprocess.PIPE, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert b"Broken pipe" not in done.stderr
    assert "ticket" in json.loads((specks / "runs" / "small" / "metrics.json").read_bytes())
    assert (specks / "ledger.jsonl").read_bytes().count(b"\n") == 1


def test_a_listener_that_writes_to_a_closed_pipe_fails_nothing(specks: Path, caplog: pytest.LogCaptureFixture) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    def listener(event: Event) -> None:
        os.write(writing, repr(event).encode())

    try:
        outcome = ticketlab.run(specks / "specs" / "small.yaml", listener=listener)
    finally:
        os.close(writing)
    assert not outcome.failures
    assert not [record for record in caplog.records if "listener" in record.message]


def test_a_listener_that_fails_is_said_once_and_told_nothing_more(
    specks: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Event] = []

    def listener(event: Event) -> None:
        told.append(event)
        raise ZeroDivisionError("a view with a mistake")

    with caplog.at_level(logging.WARNING):
        outcome = ticketlab.run(specks / "specs" / "small.yaml", listener=listener)
    assert not outcome.failures
    assert len(told) == 1
    (said,) = [record for record in caplog.records if "listener" in record.message]
    assert said.exc_info
    assert said.exc_info[0] is ZeroDivisionError
