"""A run that was killed with all its processes is closed in MLflow by `ticketlab reconcile`, with every row once."""

from __future__ import annotations

from typing import Any

from ticketlab.tracking.courier import reconcile
from ticketlab.tracking.cursor import Delivery


def test_reconcile_ends_what_was_killed_and_nothing_that_lives(
    lab: Any, training: Any, kill_all: Any, until: Any
) -> None:
    process = training(lab)
    until(lambda: len(lab.statuses()) == 3 and lab.rows(), process)
    delivery = reconcile(lab.root)
    assert (delivery.problem, delivery.ended) == (None, ())
    assert set(lab.statuses().values()) == {"RUNNING"}
    assert process.poll() is None

    kill_all(process)
    left = lab.journal_rows()
    code, said = lab.ticketlab("reconcile")
    assert code == 0, said
    assert said.count("ended: small: ") == 3
    assert "0 waiting" in said
    assert set(lab.statuses().values()) == {"KILLED"}
    assert set(lab.rows().values()) == {1}
    assert lab.rows().total() == left

    assert reconcile(lab.root) == Delivery(0, 0, None)
