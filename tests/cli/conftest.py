from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ticketlab.cli.main import app


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project that is the working folder."""
    (tmp_path / ".ticketlab").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ticketlab(project: Path) -> Callable[..., Result]:
    """A command in this process; errors that a user can act on come as exceptions."""
    return lambda *arguments: CliRunner().invoke(app, list(arguments))
