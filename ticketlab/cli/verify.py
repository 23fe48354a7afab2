"""`ticketlab verify`: recorded runs done again and compared, bit by bit."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ticketlab.cli.arguments import CrewName, Json
from ticketlab.cli.verify_recorded import with_recorded_code

if TYPE_CHECKING:
    from ticketlab.ledger.chain import Chain
    from ticketlab.ledger.entry import Entry
    from ticketlab.run.compared import Compared
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
    from ticketlab.errors import LedgerError
    from ticketlab.ledger.chain import Chain
    from ticketlab.run.crew import crew_named
    from ticketlab.run.project import Project
    from ticketlab.run.stopping import clean_stop

    engage = crew_named(crew)
    project = Project.around(Path.cwd())
    chain = Chain(project.ledger)
    report = chain.check()
    # A torn last line is no entry yet; what this appends mends it.
    if report.fault is not None and report.fault.wrong != "torn":
        raise LedgerError(report.fault.what, where=f"{project.ledger.name}, line {report.fault.line}")
    # Recorded code may be older than crews.
    options = [*(["--crew", crew] if crew != "alone" else []), *(["--json"] if as_json else [])]
    with clean_stop() as stopping:

        def one(entry: Entry) -> int:
            if code == "recorded" and not quick:
                return with_recorded_code(entry, project, options, stopping, EXIT.values())
            return EXIT[_verified(entry, project, quick, engage, as_json, stopping).finding]

        worst = max((_asked(entry, one, stopping, as_json) for entry in _chosen(runs, chain)), default=0)
    raise typer.Exit(worst)


def _asked(entry: Entry, one: Callable[[Entry], int], stopping: Callable[[], bool], as_json: bool) -> int:
    """The exit code of one entry. One that cannot be verified is not what was recorded; the others are still asked."""
    from ticketlab.errors import Interrupted, TicketlabError
    from ticketlab.run.verify import BEGIN_AGAIN

    if stopping():
        raise Interrupted(f"stopped before entry {entry.index}", mend=BEGIN_AGAIN)
    try:
        return one(entry)
    except Interrupted:
        raise
    except TicketlabError as error:
        print(f"entry {entry.index}: {error}", file=sys.stderr)
        if as_json:
            print(json.dumps({"entry": entry.index, "problem": str(error), "finding": "DIFFERS"}))
        return EXIT["DIFFERS"]


def _chosen(runs: list[str], chain: Chain) -> list[Entry]:
    """The entries meant: by index, run id or digest; the latest of each arm for a spec or `all`.

    LedgerError if there is none, or a spec is not the one that its runs were recorded of.
    """
    from ticketlab.errors import LedgerError
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
    if not chosen:
        raise LedgerError("no run is recorded here yet", where=chain.path.name, mend="`ticketlab run SPEC` records one")
    return chosen


def _verified(
    entry: Entry, project: Project, quick: bool, engage: Engage, as_json: bool, stopping: Callable[[], bool]
) -> Verification:
    from contextlib import nullcontext

    from rich.console import Console

    from ticketlab.cli.screen import screen
    from ticketlab.run.verify import verify as verify_run

    # What goes on is shown to people; scripts, and who waits for a few sums of files, see only what was found.
    shown = nullcontext(lambda event: None) if quick or as_json else screen("verify", Console())
    with shown as listener:
        found = verify_run(entry, project, quick=quick, listener=listener, stopping=stopping, engage=engage)
    if as_json:
        print(json.dumps({**asdict(found), "finding": found.finding}, default=str))
    else:
        _show(found)
    if found.problem:
        print(f"entry {entry.index}: {found.problem}", file=sys.stderr)
    if found.unstated:
        print(f"entry {entry.index}: the ledger does not have what was found: {found.unstated}", file=sys.stderr)
    return found


def _show(found: Verification) -> None:
    """Files, steps and results; what differs between then and now; what was found, and the first that differs."""
    from ticketlab.spec.quoting import printable

    print(f"{found.cell}  (run {found.run})")
    for one in (*found.files, *found.steps):
        print(f"  {one.finding:11}  {_said(one)}")
    first = found.first
    word = "why" if first else "though"
    for cause in found.causes[:CAUSES_SHOWN]:
        print(f"  {word}: {cause.kind}: {printable(cause.path)}: {cause.left!r} then, {cause.right!r} now")
    if len(found.causes) > CAUSES_SHOWN:
        print(f"  {word}: and {len(found.causes) - CAUSES_SHOWN} more differences")
    print(f"  {found.finding}")
    if first:
        print(f"  first: {_said(first)}")


def _said(one: Compared) -> str:
    from ticketlab.spec.quoting import printable

    return one.said + (f"  [{printable(one.where)}]" if one.where else "")
