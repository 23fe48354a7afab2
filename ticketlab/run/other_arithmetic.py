"""Whether other bits are to be expected of work done again: the arithmetic is another, and nothing else that counts."""

from __future__ import annotations

from collections.abc import Sequence

from ticketlab.ledger.diff import STEPS, Difference
from ticketlab.plan.sources import PACKAGES_THAT_SUM

DOES_SUMS = frozenset(
    (
        "device",
        "torch",
        "threads",
        "interop_threads",
        "mkldnn",
        "flush_denormal",
        "cuda",
        "cudnn",
        "gpu",
        "cpu",
        "cpu_capability",
        "cores",
        "architecture",
        "float32_matmul_precision",
        *(f"packages.{name}" for name in PACKAGES_THAT_SUM.values()),
    )
)
"""What the last bits of sums depend on beside spec, code and data, by the paths of differences."""


def is_other_arithmetic(causes: Sequence[Difference]) -> bool:
    """Whether `causes`, what differs between two runs beside results, hold another arithmetic and nothing else that counts.

    Statistics and extractor are made by steps, so they follow the arithmetic; a commit says nothing where the sources
    are the same, and other sources say nothing where all that the run's steps rest on means the same.
    """
    same_code = not _is_other_code(causes)
    counting = [
        one
        for one in causes
        if not one.path.startswith(("statistics.", "extractor."))
        and not (one.kind == "code" and same_code)
        and one.kind in ("spec", "code", "data")
    ]
    return not counting and any(_does_sums(one) for one in causes)


def _is_other_code(causes: Sequence[Difference]) -> bool:
    """Whether the code that the steps rest on does other things; other comments, say, are no other code."""
    differing = {one.path: one for one in causes if one.kind == "code"}
    # Entries of before it was recorded say nothing of the meaning.
    known = "meaning" not in differing or differing["meaning"].left is not None
    return ("meaning" if known else "sources") in differing


def _does_sums(cause: Difference) -> bool:
    """Whether the machine did sums otherwise: for the run as a whole, or for a step taken from another's store."""
    if cause.kind in ("environment", "machine") and cause.path.startswith(STEPS):
        return cause.path.rpartition(".")[2] in DOES_SUMS
    return cause.path in DOES_SUMS
