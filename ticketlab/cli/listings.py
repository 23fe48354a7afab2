"""`ticketlab methods`, `models`, `datasets`, `schema`: what a spec may name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from ticketlab.cli.arguments import Json


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("methods")(methods)
    app.command("models")(models)
    app.command("datasets")(datasets)
    app.command("schema")(schema)


def methods(as_json: Json = False) -> None:
    """Ways of drawing a ticket."""
    from ticketlab.spec.spec import Spec

    _show(_members(Spec, "ticket", "method"), as_json)


def models(as_json: Json = False) -> None:
    """Networks that can be pruned."""
    from ticketlab.spec.spec import Spec

    _show(_members(Spec, "model", "kind"), as_json)


def datasets(as_json: Json = False) -> None:
    """Datasets by name: those that are known, and those added to this project."""
    from ticketlab.run.project import Project
    from ticketlab.spec.catalog import KNOWN, facts

    root = Project.around(Path.cwd()).root
    added = {path.parent.name for path in root.glob("data/*/dataset.json")}
    rows = []
    for name in sorted({*KNOWN, *added}):
        found = facts(name, root)
        where = "here" if name in added else "known"
        shape = (
            f"{found.train} + {found.test} images, {found.channels}x{found.size}x{found.size}, {found.classes} classes"
        )
        rows.append((name, f"{where:6} {shape}", found.source))
    _show(rows, as_json)


def schema(out: Annotated[Path | None, typer.Argument(help="Write it there instead of printing it.")] = None) -> None:
    """The JSON Schema of specs, for editors."""
    from ticketlab.files import write_atomically
    from ticketlab.spec.schema import json_schema

    text = json.dumps(json_schema(), indent=2) + "\n"
    if out is None:
        print(text, end="")
    else:
        write_atomically(out, text.encode())


def _members(section: Any, field: str, tag: str) -> list[tuple[str, str, str]]:
    """Name, what it is, and source of every member of the family that a field of a section takes."""
    annotation = section.model_fields[field].annotation
    members = get_args(annotation) or (annotation,)
    return [(member.model_fields[tag].default, member.about, member.source) for member in members]


def _show(rows: list[tuple[str, str, str]], as_json: bool) -> None:
    if as_json:
        print(json.dumps([{"name": name, "about": about, "source": source} for name, about, source in rows], indent=2))
        return
    width = max(len(name) for name, _, _ in rows)
    for name, about, source in rows:
        print(f"{name:{width}}  {about}" + (f"\n{'':{width}}  {source}" if source else ""))
