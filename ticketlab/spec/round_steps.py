"""`ticket.round_steps`: how long the training before each round's pruning is."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

RoundSteps = Annotated[int, Field(ge=0)] | Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
"""One number for all rounds, or one for each: the last of a list is that of the rounds after it too."""


def by_round(steps: RoundSteps, rounds: int) -> tuple[int, ...]:
    """Steps before the pruning of each of `rounds` rounds; what a list has beyond them counts nowhere."""
    listed = steps if isinstance(steps, tuple) else (steps,)
    return (*listed, *listed[-1:] * (rounds - len(listed)))[:rounds]


def shortest(steps: tuple[int, ...]) -> RoundSteps:
    """The one way to write lengths of rounds: no number more than is needed, and one alone without a list."""
    last = max((place for place, number in enumerate(steps) if number != steps[-1]), default=-1)
    return steps[: last + 2] if last >= 0 else steps[-1]
