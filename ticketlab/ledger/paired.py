"""The steps of two runs side by side, by what they are called and not by their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from ticketlab.ledger.facts import RunFacts, StepFact

_NUMBER = re.compile(r"^\d+\. ")


def paired(left: RunFacts, right: RunFacts) -> Iterator[tuple[StepFact | None, StepFact | None]]:
    """Both runs' steps in the order they were done; None beside one that only one of the runs has.

    A step that was put in, or left out, moves the numbers of those after it and parts none of them.
    """
    ours, theirs = [_title(step) for step in left.steps], [_title(step) for step in right.steps]
    for kind, begin, end, other_begin, other_end in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from zip(left.steps[begin:end], right.steps[other_begin:other_end], strict=True)
        else:
            yield from ((step, None) for step in left.steps[begin:end])
            yield from ((None, step) for step in right.steps[other_begin:other_end])


def _title(step: StepFact) -> str:
    return _NUMBER.sub("", step.name)
