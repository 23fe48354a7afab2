"""The `ticketlab` command: every subcommand parses, has the work done by the package and prints."""

from __future__ import annotations

import gc
import os
import sys

import typer

from ticketlab.cli import clean, data, health, ledger, listings, run, verify
from ticketlab.errors import TicketlabError

app = typer.Typer(
    name="ticketlab",
    help="Lottery-ticket and pruning experiments from one page of YAML, with a ledger that can prove every result.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
run.register(app)
verify.register(app)
listings.register(app)
health.register(app)
clean.register(app)
app.add_typer(data.app, name="data")
app.add_typer(ledger.app, name="ledger")


SPINS = "10000"
"""How often a thread of the OpenMP runtime looks for work before it sleeps. The runtime's default, many milliseconds,
makes a run several times slower as soon as anything else uses the cores; this costs nothing when nothing does."""


def main() -> None:
    """Run the command; an error a user can act on is one screen on stderr, never a traceback."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when torch is loaded, which is later
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # looking for them takes as long as reading a spec
    gc.set_threshold(100_000, *gc.get_threshold()[1:])  # what is imported stays: looking through it finds nothing
    try:
        app()
    except TicketlabError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # a full disk, a folder that cannot be written: nothing that a traceback would explain
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
        sys.exit(1)
    finally:
        gc.freeze()  # nor does the end of the process look through what goes with it
