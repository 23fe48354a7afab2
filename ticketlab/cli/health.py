"""`ticketlab ui`, `doctor`, `reconcile`: looking at runs, and at the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("ui")(ui)
    app.command("doctor")(doctor)
    app.command("reconcile")(reconcile)


def ui(port: Annotated[int, typer.Option(help="Port on the loopback address.")] = 5000) -> None:
    """Start `mlflow ui` on this project's runs, on the loopback address only."""
    import os

    from ticketlab.run.project import Project
    from ticketlab.tracking.store import ui_command

    command, environment = ui_command(Project.around(Path.cwd()).root, port)
    print(f"http://127.0.0.1:{port}   (Ctrl-C ends it)", flush=True)
    os.execvpe(command[0], command, {**os.environ, **environment})


def doctor() -> None:
    """Check versions, device, threads, store, MLflow and DVC; each finding with its mend."""
    from ticketlab.run.doctor import examine
    from ticketlab.run.project import Project

    healthy = True
    for finding in examine(Project.around(Path.cwd())):
        healthy = healthy and finding.good
        print(
            f"{'ok ' if finding.good else 'BAD'}  {finding.what}"
            + ("" if finding.good else f"\n     -> {finding.mend}")
        )
    if not healthy:
        raise typer.Exit(1)


def reconcile() -> None:
    """Mark runs that a crash left running as killed, and deliver rows that wait; exit code 1 if some still wait."""
    from ticketlab.errors import TrackingError
    from ticketlab.run.project import Project
    from ticketlab.tracking.courier import reconcile as reconcile_runs

    delivery = reconcile_runs(Project.around(Path.cwd()).root)
    for name in delivery.ended:
        print(f"ended: {name} (its process is gone)")
    print(f"delivered {delivery.delivered} rows, {delivery.pending} waiting")
    if delivery.problem:
        raise TrackingError(delivery.problem, mend="nothing is lost; `ticketlab reconcile` again when that is mended")
