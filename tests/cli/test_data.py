"""`data add` says what it made, and what it left where it lay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import Result

ADD = ("data", "add", "imagefolder", "--from", "photos", "--name", "garden", "--size", "8")


def test_what_was_passed_over_is_counted_and_named(project: Path, ticketlab: Callable[..., Result]) -> None:
    for name in "ab":
        (project / "photos" / name).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(project / "photos" / name / f"{number}.png")
    said = ticketlab(*ADD)
    assert (said.exit_code, said.output) == (0, "data/garden: 4 training and 2 test images\n")
    for number in range(4):
        (project / "photos" / "a" / f"{number}\x1b[2J.txt").touch()
    said = ticketlab(*ADD)
    assert said.exit_code == 0
    assert said.output.splitlines()[1] == (
        "passed over, as neither class folders nor pictures by their ending: 4 "
        r"('a/0\x1b[2J.txt', 'a/1\x1b[2J.txt', 'a/2\x1b[2J.txt', ...)"
    )
