"""Batch normalisation over one value is nothing: torch's refusal of it, as an error that a user can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ticketlab.errors import TicketlabError


@contextmanager
def needing_two(batch: str) -> Iterator[None]:
    """TicketlabError where one image at a time is too few; `batch` is the field that says how many there are."""
    try:
        yield
    except ValueError as problem:
        if "more than 1 value per channel" not in str(problem):
            raise
        what = "batch normalisation by the statistics of each batch has one value per channel of one image"
        raise TicketlabError(what, where=batch, mend="a batch of at least 2") from problem
