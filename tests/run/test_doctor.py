"""What the doctor finds on a machine, and what it says to do about it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from ticketlab.run import doctor
from ticketlab.run.project import Project


def wrong(root: Path) -> dict[str, str]:
    """What is not good, and its mend."""
    return {finding.what: finding.mend for finding in doctor.examine(Project(root)) if not finding.good}


def test_a_machine_of_the_tested_versions_is_fit(tmp_path: Path) -> None:
    said = [finding.what for finding in doctor.examine(Project(tmp_path)) if finding.good]
    for begins in ("torch ", "mlflow ", "dvc ", "torchvision ", "devices: cpu", "project folder is writable", "MLflow"):
        assert any(what.startswith(begins) for what in said), begins
    assert not any("torch" in what or "OMP" in what for what in wrong(tmp_path))


def test_a_torchvision_for_another_torch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MATCHING", dict.fromkeys(doctor.MATCHING, "0.1"))
    assert [mend for what, mend in wrong(tmp_path).items() if "torchvision" in what] == [
        "pip install 'torchvision==0.1.*'"
    ]


def test_a_package_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST", {"mlflow": (99, 0), "no-such-package": (1, 2)})
    found = wrong(tmp_path)
    assert found["no-such-package is not installed"] == "pip install 'no-such-package>=1.2'"
    assert any("mlflow" in what and "99.0" in mend for what, mend in found.items())


def test_packages_that_are_missing_end_no_examination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(name: str) -> str:
        if name == "torchvision":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor, "version", installed)
    assert list(wrong(tmp_path)) == ["torchvision is not installed"]


def test_a_database_that_holds_nothing_is_not_called_sound(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("create table alembic_version (version_num text)")
    (found,) = (what for what in wrong(tmp_path) if "mlflow.db" in what)
    assert found == "MLflow: mlflow.db was begun and never finished"


@pytest.mark.parametrize(
    ("variable", "value"), [("OMP_THREAD_LIMIT", "1"), ("OMP_DYNAMIC", "true"), ("OMP_MAX_ACTIVE_LEVELS", "0")]
)
def test_what_a_run_would_refuse_for_its_threads_is_said_before(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticketlab.cores.available_cores", lambda: 4)
    assert not any(variable in what for what in wrong(tmp_path))
    monkeypatch.setenv(variable, value)
    (mend,) = (mend for what, mend in wrong(tmp_path).items() if variable in what)
    assert f"unset {variable}" in mend
