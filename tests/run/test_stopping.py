"""The first signal is a wish, the second one kills, and afterwards everything is as before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from ticketlab.run.stopping import clean_stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_wish_to_stop(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with clean_stop() as stopping:
        assert not stopping()
        os.kill(os.getpid(), number)
        assert stopping()
    assert signal.getsignal(number) == before


SECOND = """
import os, signal
from ticketlab.run.stopping import clean_stop
with clean_stop() as stopping:
    os.kill(os.getpid(), signal.{name})
    assert stopping()
    os.kill(os.getpid(), signal.{name})
    print("still there")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_second_signal_kills(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", SECOND.format(name=name)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.Signals[name]
    assert done.stdout == ""


def test_outside_the_main_thread_the_wish_never_comes_and_nothing_breaks() -> None:
    answers: list[bool] = []

    def work() -> None:
        with clean_stop() as stopping:
            answers.append(stopping())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False]
