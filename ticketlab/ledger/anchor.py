"""A signed head: one signature that vouches for every entry of a ledger up to the last it counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ticketlab.errors import LedgerError
from ticketlab.files import canonical_json
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.check import Head
from ticketlab.ledger.signing import Envelope, sign, verify
from ticketlab.ledger.statement import STATEMENT

LEDGER_HEAD = "urn:ticketlab:ledger-head:v1"
"""Predicate: `entries`, how many lines of the ledger the subject's digest (of the last of them) stands for."""


def sign_head(chain: Chain, key: Path) -> Envelope:
    """The DSSE envelope that binds the owner of `key` to the whole chain; LedgerError if it is empty or not sound."""
    report = chain.check()
    if report.fault:
        raise LedgerError(report.fault.what, where=f"{chain.path}:{report.fault.line}")
    if not report.head.entries:
        raise LedgerError("an empty ledger has no head to sign", where=str(chain.path))
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": chain.path.name, "digest": {"sha256": report.head.digest}}],
        "predicateType": LEDGER_HEAD,
        "predicate": {"entries": report.head.entries},
    }
    return sign(canonical_json(statement), key)


def check_head(chain: Chain, envelope: Mapping[str, Any], public: Path) -> Head:
    """The head that was signed, once the signature holds and the chain still leads to it; LedgerError if either fails.

    That the chain itself is sound is for `Chain.check` to say: both together mean that nothing up to the head changed.
    """
    head = _signed_head(verify(envelope, public))
    for entry in chain.entries():
        if entry.index == head.entries - 1:
            if entry.digest == head.digest:
                return head
            raise LedgerError("the line is not the one that was signed", where=f"{chain.path}:{head.entries}")
    raise LedgerError(f"{head.entries} entries were signed, and the ledger has fewer", where=str(chain.path))


def _signed_head(payload: bytes) -> Head:
    try:
        statement = json.loads(payload)
        if statement["predicateType"] != LEDGER_HEAD:
            raise ValueError(statement["predicateType"])
        return Head(int(statement["predicate"]["entries"]), str(statement["subject"][0]["digest"]["sha256"]))
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise LedgerError("what was signed is not the head of a ledger") from error
