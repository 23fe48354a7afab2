"""What makes two specs the same experiment: a hash of all in them that can affect results, defaults included."""

from __future__ import annotations

from typing import Any, Final

from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.spec.spec import Spec

DOES_NOT_AFFECT_RESULTS: Final[dict[str, str]] = {
    "name": "a label: the folder and the MLflow experiment that results are put into",
    "about": "a sentence for people",
    "matrix": "a cell has its values in place already",
    "arms": "which trainings are done; each arm has an address of its own, and none changes another",
    "compute.checkpoint_seconds": "a run that was interrupted and resumed has the same bits as one that was not",
    "compute.log_every": "randomness is keyed, not stateful: looking more often disturbs nothing",
}
"""The paths that identity leaves out, each with the reason why it may."""


def identity(spec: Spec) -> str:
    """Lower-case hexadecimal sha256 of the canonical JSON of what `spec` asks for, `DOES_NOT_AFFECT_RESULTS` aside.

    Give it a resolved spec: `null` and the value it stands for are different text, so different identities.
    """
    asked = spec.asks()
    for path in DOES_NOT_AFFECT_RESULTS:
        _remove(asked, path.split("."))
    return sha256_bytes(canonical_json(asked))


def _remove(values: dict[str, Any], path: list[str]) -> None:
    *sections, name = path
    for section in sections:
        values = values[section]
    del values[name]
