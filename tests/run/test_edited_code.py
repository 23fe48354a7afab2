"""Code that was edited after a process had loaded it is not run under the digest of what the files say now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ticketlab.errors import StepFailed
from ticketlab.run.execute import Executor


def test_a_step_planned_after_an_edit_is_refused_by_a_process_that_has_the_old_code(
    counting: Callable[..., Any], executor: Callable[..., Executor], performed: Callable[[], list[int]], tmp_path: Path
) -> None:
    first = counting(1)
    executor().ensure(first, "cell")
    module = next(tmp_path.glob("counting_step_*.py"))
    module.write_text(module.read_text() + "\nEDITED = True\n")
    fields = {name: value for name, value in vars(first).items() if name != "digest"}
    planned_later = type(first)(**fields)
    assert planned_later.digest != first.digest
    with pytest.raises(StepFailed, match="after this process had loaded it"):
        executor().ensure(planned_later, "cell")
    assert performed() == [1]


def test_any_error_of_a_step_is_one_line_and_a_story(
    counting: Callable[..., Any], executor: Callable[..., Executor], tmp_path: Path
) -> None:
    step = counting(1)
    module = next(tmp_path.glob("counting_step_*.py"))
    module.write_text(
        module.read_text().replace('raise RuntimeError("killed', 'raise KeyError("killed').replace("< 0", "> 0")
    )
    again = type(step)(**{name: value for name, value in vars(step).items() if name != "digest"})
    with pytest.raises(StepFailed, match="KeyError"):
        executor().ensure(again, "cell")
