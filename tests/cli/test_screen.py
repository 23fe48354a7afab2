"""A run is shown live in a terminal and in plain lines elsewhere; neither can hurt it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from ticketlab.cli.screen import screen, show_outcome
from ticketlab.errors import Diverged
from ticketlab.run.events import Event, Notice, Progress, StepFinished, StepStarted
from ticketlab.run.experiment import Failure, Outcome
from ticketlab.run.published import ArmResult

EVENTS: list[Event] = [
    Notice("pulling images"),
    StepStarted("train, ticket", "seed-0/ticket", 2, 5, 100),
    Progress(10, {"loss_train": 2.5}),
    Progress(20, {"loss_train": 1.25, "accuracy": 0.5}),
    StepFinished("train, ticket", "seed-0/ticket", 3.21),
]


def test_elsewhere_every_event_is_a_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with screen("demo", Console(file=io.StringIO(), force_terminal=False)) as listen:
        for event in EVENTS:
            listen(event)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "    note: pulling images"
    assert lines[1] == "[2/5] seed-0/ticket: train, ticket"
    assert lines[-1] == "    done in 3.2 s  loss_train 1.25  accuracy 0.5"
    assert not any("\x1b" in line for line in lines)


@pytest.mark.parametrize("width", [20, 80, 200])
def test_in_a_terminal_the_view_shows_step_values_and_progress(width: int) -> None:
    shown = io.StringIO()
    with screen("demo", Console(file=shown, force_terminal=True, width=width)) as listen:
        for event in EVENTS[:-1]:
            listen(event)
    if width == 200:
        assert "step 2 of 5: seed-0/ticket" in shown.getvalue()
        assert "20/100" in shown.getvalue()
        assert "1.25" in shown.getvalue()


def result(name: str) -> ArmResult:
    return ArmResult(name, {}, name, 0.25, {"accuracy": 0.5}, {}, {}, {}, {}, {})


def test_seeds_are_taken_together_below_the_table() -> None:
    shown = io.StringIO()
    runs = [
        replace(result(f"seed-{seed}/ticket"), arm="ticket", axes={"seed": seed}, metrics={"accuracy": found})
        for seed, found in (("0", 0.5), ("1", 0.7))
    ]
    show_outcome("demo", Outcome(runs, [], Path("runs/demo")), Console(file=shown, width=100))
    assert "over the seeds" in shown.getvalue()
    assert "0.6 ± 0.14" in shown.getvalue()


def test_a_run_ends_with_a_table_and_what_failed() -> None:
    shown = io.StringIO()
    failures = [Failure("random", Diverged("loss is nan", mend="a smaller rate"))]
    outcome = Outcome([result("ticket"), result("dense")], failures, Path("runs/demo"))
    show_outcome("demo", outcome, Console(file=shown, width=100))
    text = shown.getvalue()
    for part in (
        "demo",
        "ticket",
        "dense",
        "25.00%",
        "accuracy",
        "0.5",
        "failed",
        "random",
        "loss is nan",
        "smaller rate",
    ):
        assert part in text


def test_brackets_in_an_error_are_no_markup() -> None:
    shown = io.StringIO()
    failure = Failure("ticket", Diverged("weights [bold]are[/bold] not finite [/nothing]"))
    show_outcome("demo", Outcome([], [failure], Path("runs")), Console(file=shown, width=100))
    assert "[bold]are[/bold]" in shown.getvalue()
