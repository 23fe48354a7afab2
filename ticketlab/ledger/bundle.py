"""Checking an exported bundle: is every line of it signed, and which of its statements are in a ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ticketlab.errors import LedgerError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.signing import envelope_in, verify


@dataclass(frozen=True)
class BundleReport:
    """How many different statements a bundle has, all of them signed, and how many of these the ledger has too."""

    statements: int
    recorded: int


def check_bundle(bundle: Path, chain: Chain, public: Path) -> BundleReport:
    """Check a bundle that was exported with a key, by its public key in the PEM file.

    LedgerError at the first line that is no envelope signed by it, a bare statement included; or if there is no line.
    """
    ours = {sha256_bytes(canonical_json(entry.statement)) for entry in chain.entries()}
    seen: set[str] = set()
    with bundle.open("rb") as handle:
        for number, line in enumerate(handle, 1):
            where = f"{bundle}:{number}"
            try:
                statement = verify(envelope_in(line, where), public)
            except LedgerError as error:
                raise LedgerError(error.what, where=where) from error
            seen.add(sha256_bytes(statement))
    if not seen:
        raise LedgerError("the bundle has no statement", where=str(bundle))
    return BundleReport(len(seen), len(seen & ours))
