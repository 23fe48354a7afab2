"""Measuring the snapshots that a training leaves on its way."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, cast

from ticketlab.errors import Interrupted
from ticketlab.files import sha256_file, write_atomically, write_json
from ticketlab.plan.steps import snapshot_file
from ticketlab.run.device import arrange
from ticketlab.run.steps.evaluate import trained_network
from ticketlab.run.steps.measure import measurer

if TYPE_CHECKING:
    from pathlib import Path

    from ticketlab.plan.steps import Curve, Step
    from ticketlab.run.workplace import Workplace


def perform(asked: Step, place: Workplace) -> None:
    """Write `watch-<step>.json` and `samples-<step>.png` of every snapshot that is there, and its row of the curves.

    Called while the training goes on, it measures those that are new; the call after the training finds the rest.
    """
    step = cast("Curve", asked)
    device = arrange(step.compute)
    measure = measurer(step.measurement, step.images, step.seed, place, device)
    numbers = step.numbers
    done = list(takewhile(lambda number: _is_measured(number, place), numbers))
    place.going_on(done[-1] if done else step.begin)
    for number in numbers[len(done) :]:
        snapshot = place.input("weights", snapshot_file(number))
        assert snapshot is not None, "snapshots of a training are measured"
        if not snapshot.exists():
            return
        if place.stopping():
            raise Interrupted(
                f"stopped before the snapshot of step {number}", mend="the same command goes on from here"
            )
        found = measure(trained_network(step, snapshot, device))
        if found.grid is not None:
            write_atomically(place.out / f"samples-{number:07d}.png", found.grid)
        place.log(number, found.metrics)
        place.settle()
        write_json(place.out / _noted(number), found.metrics)
        write_atomically(_measured(number, place), sha256_file(snapshot).encode())


def _is_measured(number: int, place: Workplace) -> bool:
    """Whether this very snapshot was measured: a training that started over may have left another in its place."""
    snapshot, noted = place.input("weights", snapshot_file(number)), _measured(number, place)
    if snapshot is None or not (snapshot.exists() and noted.exists() and (place.out / _noted(number)).exists()):
        return False
    return noted.read_bytes() == sha256_file(snapshot).encode()


def _measured(number: int, place: Workplace) -> Path:
    """Beside the unfinished work: the sha256 of the snapshot that was measured."""
    return place.folder / f"measured-{number:07d}.sha256"


def _noted(number: int) -> str:
    return f"watch-{number:07d}.json"
