"""`ticketlab verify`: recorded runs done again and compared, bit by bit."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ticketlab.cli.arguments import CrewName, Json

if TYPE_CHECKING:
    from ticketlab.ledger.chain import Chain
    from ticketlab.ledger.entry import Entry
    from ticketlab.run.crew import Engage
    from ticketlab.run.project import Project
    from ticketlab.run.verify import Verification

EXIT = {"IDENTICAL": 0, "WITHIN BAND": 4, "DIFFERS": 5}
CAUSES_SHOWN = 12


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("verify")(verify)


def verify(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN|SPEC|all...", help="Entries of the ledger, specs, or `all`.")
    ],
    quick: Annotated[bool, typer.Option("--quick", help="Only check files and the chain; do nothing again.")] = False,
    code: Annotated[
        Literal["here", "recorded"], typer.Option("--code", help="Do it with the code at hand, or the recorded commit.")
    ] = "here",
    crew: CrewName = "alone",
    as_json: Json = False,
) -> None:
    """Do recorded runs again and compare: IDENTICAL (exit 0), WITHIN BAND (4) or DIFFERS (5), and why."""
    from ticketlab.errors import Interrupted, LedgerError, TicketlabError
    from ticketlab.ledger.chain import Chain
    from ticketlab.run.crew import crew_named
    from ticketlab.run.project import Project

    engage = crew_named(crew)
    project = Project.around(Path.cwd())
    chain = Chain(project.ledger)
    report = chain.check()
    if report.fault is not None:
        raise LedgerError(report.fault.what, where=f"{project.ledger.name}, line {report.fault.line}")
    worst = 0
    for entry in _chosen(runs, chain):
        try:
            if code == "recorded" and not quick:
                worst = max(worst, _with_recorded_code(entry, project, crew, as_json))
            else:
                worst = max(worst, EXIT[_verified(entry, project, quick, engage, as_json).finding])
        except Interrupted:
            raise
        except TicketlabError as error:
            # One that cannot be done again is not what was recorded; the others are still asked.
            print(f"entry {entry.index}: {error}", file=sys.stderr)
            worst = EXIT["DIFFERS"]
    raise typer.Exit(worst)


def _chosen(runs: list[str], chain: Chain) -> list[Entry]:
    """The entries meant: by index, run id or digest; the latest of each arm for a spec or `all`.

    LedgerError if there is none, or a spec is not the one that its runs were recorded of.
    """
    from ticketlab.ledger.listing import find, run_and_cell
    from ticketlab.run.reading import load_spec
    from ticketlab.run.recorded_spec import entries_of

    latest: dict[str, Entry] = {}
    for entry in chain.entries():
        named = run_and_cell(entry.statement)
        if named:
            latest[named[1]] = entry
    chosen: list[Entry] = []
    for text in runs:
        if text == "all":
            chosen += latest.values()
        elif Path(text).suffix in (".yaml", ".yml"):
            of_spec, missing = entries_of(load_spec(Path(text)), latest)
            for name in missing:
                print(f"{name}: not recorded yet, so there is nothing to verify", file=sys.stderr)
            chosen += of_spec
        else:
            chosen.append(find(chain, text))
    return chosen


def _verified(entry: Entry, project: Project, quick: bool, engage: Engage, as_json: bool) -> Verification:
    from rich.console import Console

    from ticketlab.cli.screen import screen
    from ticketlab.run.stopping import clean_stop
    from ticketlab.run.verify import verify as verify_run

    console = Console(stderr=as_json)
    if quick or as_json:
        found = verify_run(entry, project, quick=quick, engage=engage)
    else:
        with clean_stop() as stopping, screen("verify", console) as listener:
            found = verify_run(entry, project, listener=listener, stopping=stopping, engage=engage)
    if as_json:
        print(json.dumps({**asdict(found), "finding": found.finding}, default=str))
    else:
        _show(found)
    return found


def _with_recorded_code(entry: Entry, project: Project, crew: str, as_json: bool) -> int:
    """Run this command with the recorded code in a process of its own; its exit code, one of EXIT.

    LedgerError if that process found nothing, because it failed or was killed; Interrupted if it was stopped.
    """
    import os

    from ticketlab.errors import Interrupted, LedgerError
    from ticketlab.ledger.statement import facts
    from ticketlab.run.recorded_code import checked_out

    with (
        tempfile.TemporaryDirectory() as scratch,
        checked_out(facts(entry.statement).code, project.root, Path(scratch)) as tree,
    ):
        command = [
            sys.executable,
            "-P",
            "-m",
            "ticketlab",
            "verify",
            str(entry.index),
            # Recorded code may be older than crews.
            *(["--crew", crew] if crew != "alone" else []),
            *(["--json"] if as_json else []),
        ]
        done = subprocess.run(command, cwd=project.root, env={**os.environ, "PYTHONPATH": str(tree)}, check=False)
    if done.returncode == Interrupted.exit_code:
        raise Interrupted("the recorded code was stopped", mend="the same command begins again")
    if done.returncode not in EXIT.values():
        ended = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}"
        raise LedgerError(f"the recorded code did not finish its work ({ended})", mend="--code here")
    return done.returncode


def _show(found: Verification) -> None:
    """Step by step, then the first difference and what differs between then and now."""
    print(f"{found.cell}  (run {found.run})")
    for one in (*found.files, *found.steps):
        print(f"  {one.finding:11}  {one.said}" + (f"  [{one.where}]" if one.where else ""))
    if found.finding != "IDENTICAL":
        for cause in found.causes[:CAUSES_SHOWN]:
            print(f"  why: {cause.kind}: {cause.path}: {cause.left!r} then, {cause.right!r} now")
        if len(found.causes) > CAUSES_SHOWN:
            print(f"  why: and {len(found.causes) - CAUSES_SHOWN} more differences")
    print(f"  {found.finding}")
