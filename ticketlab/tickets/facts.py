"""What is known about how a ticket was drawn, as it stands in the ticket's file."""

from __future__ import annotations

import re
from dataclasses import dataclass

SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class TicketFacts:
    """Where a mask comes from.

    `method`: name of the pruning method; `round`: rounds done, 0 is the dense mask; `seed`: seed of the initialiser;
    `initial_weights`: sha256 (hex) of the initial weights the ticket is meant for.
    Raises ValueError for anything else.
    """

    method: str
    round: int
    seed: int
    initial_weights: str

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or not 0 < len(self.method) <= 200:
            raise ValueError("method: expected a name of 1 to 200 characters")
        if type(self.round) is not int or self.round < 0:
            raise ValueError(f"round: expected a whole number of at least 0, found {self.round!r}")
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise ValueError(f"seed: expected a whole number in [0, 2**63), found {self.seed!r}")
        if not isinstance(self.initial_weights, str) or not SHA256.fullmatch(self.initial_weights):
            raise ValueError("initial_weights: expected 64 hexadecimal digits")
