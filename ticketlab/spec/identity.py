"""What makes two specs the same experiment: a hash of all in them that can affect results, defaults included."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.spec.language import every_field
from ticketlab.spec.positions import dotted
from ticketlab.spec.section import no_effect
from ticketlab.spec.spec import Spec


def identity(spec: Spec) -> str:
    """Lower-case hexadecimal sha256 of the canonical JSON of what counts in `spec`: all but fields without effect.

    Give it a resolved spec: `null` and the value it stands for are different text, so different identities.
    """
    return sha256_bytes(canonical_json(spec.counting()))


@cache
def without_effect() -> Mapping[str, str]:
    """The paths of the language that identity leaves out, each with the reason why it may, as their fields say."""
    return MappingProxyType(
        {dotted(path): said.reason for path, _, field in every_field() if (said := no_effect(field)) is not None}
    )
