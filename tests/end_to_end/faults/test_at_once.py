"""Processes that start at once on one project share it: none fails, one chain, one database, every row once."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.long
def test_two_runs_of_one_spec_at_once_do_everything_once(lab: Any, undisturbed: Any) -> None:
    processes = [lab.start("run", "specs/small.yaml") for _ in range(2)]
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert sum("another run of `small` is going on" in one for one in said) == 1, said
    assert lab.published() == undisturbed.published()
    assert lab.entries() == undisturbed.entries()
    assert lab.ticketlab("reconcile")[0] == 0
    assert set(lab.rows().values()) == {1}
    assert lab.rows().total() == lab.journal_rows()
    assert set(lab.statuses().values()) == {"FINISHED"}
    assert lab.ticketlab("run", "specs/small.yaml")[1].endswith("nothing to do; results in runs/small\n")


def many_at_once(lab: Any, count: int) -> list[str]:
    """The arms that the ledger has, after all that must hold of processes, MLflow and journals does."""
    settings = ("--set", "train.steps=4", "--set", "evaluate.every=4", "--set", "arms=[dense]")
    processes = [lab.start("run", "specs/small.yaml", "--set", f"seed={seed}", *settings) for seed in range(count)]
    said = [process.communicate(timeout=1800)[0] for process in processes]
    failed = [one for process, one in zip(processes, said, strict=True) if process.returncode != 0]
    assert not failed, failed[0]
    assert not [one for one in said if "Traceback" in one]
    assert len(lab.entries()) == len(set(lab.entries())) == count
    code, reconciled = lab.ticketlab("reconcile")
    assert code == 0, reconciled
    assert set(lab.rows().values()) == {1}
    assert lab.rows().total() == lab.journal_rows()
    assert len(lab.statuses_of_all()) == 2 * count
    assert set(lab.statuses_of_all()) == {"FINISHED"}
    return sorted(lab.entries())


def of_every_seed(count: int) -> list[str]:
    overrides = "train.steps-4_evaluate.every-4_arms-dense"
    return sorted(f"small+seed-{seed}_{overrides}/dense" for seed in range(count))


def test_three_processes_on_an_empty_project(lab: Any) -> None:
    assert many_at_once(lab, 3) == of_every_seed(3)


@pytest.mark.long
def test_thirty_two_processes_on_an_empty_project_without_a_database(lab: Any) -> None:
    (lab.root / "mlflow.db").unlink()
    assert many_at_once(lab, 32) == of_every_seed(32)
