"""`ticketlab verify`: which entries a spec means, and exit codes that never call a failure a success."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ticketlab.cli.main import app
from ticketlab.errors import Interrupted, LedgerError
from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.ledger import capture
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.facts import Code
from ticketlab.ledger.statement import facts, provenance

Verify = Callable[..., Result]


@pytest.fixture
def verify(run_specks: Path, monkeypatch: pytest.MonkeyPatch) -> Verify:
    """The command in the project `run_specks`, in this process."""
    monkeypatch.chdir(run_specks)
    return lambda *arguments: CliRunner().invoke(app, ["verify", *arguments])


@pytest.fixture
def small(run_specks: Path) -> Path:
    """A spec that was run."""
    return run_specks / "specs" / "small.yaml"


def test_a_spec_that_was_edited_without_a_run_is_refused(small: Path, verify: Verify) -> None:
    assert verify("--quick", "specs/small.yaml").exit_code == 0
    small.write_text(small.read_text().replace("steps: 4", "steps: 5"))
    refused = verify("--quick", "specs/small.yaml").exception
    assert isinstance(refused, LedgerError)
    assert "small/ticket is recorded of another spec" in refused.what
    assert refused.what.endswith("; `train.steps` was 4 and is 5")
    assert "verify 0" in refused.mend
    assert verify("--quick", "0").exit_code == 0
    small.write_text(small.read_text().replace("steps: 5", "steps: 4").replace("log_every: 1", "log_every: 2"))
    assert verify("--quick", "specs/small.yaml").exit_code == 0, "what cannot change a result is no other spec"


def test_where_nothing_is_recorded_nothing_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["verify", "all"], ["verify", "--quick", "all"]):
        refused = CliRunner().invoke(app, arguments)
        assert refused.exit_code == 1
        assert isinstance(refused.exception, LedgerError)
        assert refused.exception.what == "no run is recorded here yet"


def test_arms_that_were_not_recorded_are_named(small: Path, verify: Verify) -> None:
    small.write_text(small.read_text().replace("arms: [ticket]", "arms: [ticket, dense]"))
    found = verify("--quick", "specs/small.yaml")
    assert found.exit_code == 0
    assert "small/dense: not recorded yet" in found.stderr
    assert "small/ticket" in found.stdout
    small.write_text(small.read_text().replace("name: small", "name: other"))
    assert "no run of" in str(verify("--quick", "specs/small.yaml").exception)


def test_an_entry_in_another_language_is_said_so_and_the_others_are_asked(
    run_specks: Path, small: Path, verify: Verify
) -> None:
    chain = Chain(run_specks / "ledger.jsonl")
    run = facts(next(chain.entries()).statement)
    chain.append(provenance(replace(run, run="older", spec={**run.spec, "tempo": 1})))
    found = verify("1", "0")
    assert found.exit_code == 5
    assert "entry 1: the run was recorded in another version of the language" in found.stderr
    assert "`tempo`" in found.stderr
    assert "--code recorded" in found.stderr
    assert "small/ticket" in found.stdout
    assert found.stdout.rstrip().endswith("IDENTICAL")


@pytest.fixture
def recorded_code(run_specks: Path, stated_of: Callable[[Path, Code], None]) -> Callable[[str], None]:
    """A ledger with one run, recorded of a ticketlab in git that only does the statement given."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
            cwd=run_specks,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def make(statement: str) -> None:
        package = run_specks / "ticketlab"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(f"import os, signal, sys\n{statement}\n")
        git("init", "--quiet")
        git("add", "ticketlab")
        git("commit", "--quiet", "--message", "Begin")
        sources = sha256_bytes(canonical_json(capture.sources(package)))
        stated_of(run_specks, Code(sources, git("rev-parse", "HEAD")))

    return make


@pytest.mark.parametrize(
    ("statement", "code", "said"),
    [
        ("sys.exit(0)", 0, ""),
        ("sys.exit(4)", 4, ""),
        ("sys.exit(5)", 5, ""),
        ("sys.exit(1)", 5, "exit 1"),
        ("sys.exit(2)", 5, "exit 2"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 5, "killed by signal 9"),
    ],
)
def test_recorded_code_that_finds_nothing_is_never_identical(
    recorded_code: Callable[[str], None], verify: Verify, statement: str, code: int, said: str
) -> None:
    recorded_code(statement)
    found = verify("--code", "recorded", "first")
    assert (found.exit_code, said in found.stderr) == (code, True), found.stderr


def test_recorded_code_that_was_stopped_stops_the_command(recorded_code: Callable[[str], None], verify: Verify) -> None:
    recorded_code("sys.exit(130)")
    assert isinstance(verify("--code", "recorded", "first").exception, Interrupted)
