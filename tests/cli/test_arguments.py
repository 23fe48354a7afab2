"""Options become overrides in the order they are given."""

from __future__ import annotations

from ticketlab.cli.arguments import overrides


def test_the_device_is_set_after_all_else() -> None:
    assert overrides(["a=1", "compute.device=cpu"], "cuda") == ("a=1", "compute.device=cpu", "compute.device=cuda")
    assert overrides(None) == ()
