"""`ticketlab methods`, `models`, `datasets`, `schema`: what a spec may name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ticketlab.cli.arguments import Json

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path as SpecPath


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("methods")(methods)
    app.command("models")(models)
    app.command("datasets")(datasets)
    app.command("schema")(schema)


def methods(as_json: Json = False) -> None:
    """Ways of drawing a ticket."""
    _show(_members(("ticket",)), as_json)


def models(as_json: Json = False) -> None:
    """Networks that can be pruned."""
    _show(_members(("model",)), as_json)


def datasets(as_json: Json = False) -> None:
    """Datasets by name: those that are known, and those added to this project."""
    from ticketlab.run.project import Project
    from ticketlab.spec.catalog import KNOWN, facts
    from ticketlab.spec.labelling import label_kind

    root = Project.around(Path.cwd()).root
    added = {path.parent.name for path in root.glob("data/*/dataset.json")}
    rows = []
    for name in sorted({*KNOWN, *added}):
        found = facts(name, root)
        where = "here" if name in added else "known"
        shape = (
            f"{found.train} + {found.test} images, {found.channels}x{found.size}x{found.size}, {found.classes} classes, "
            f"{label_kind(found.labels, where=name).about}"
        )
        rows.append((name, f"{where:6} {shape}", found.source))
    _show(rows, as_json)


def schema(out: Annotated[Path | None, typer.Argument(help="Write it there instead of printing it.")] = None) -> None:
    """The JSON Schema of specs, for editors."""
    from ticketlab.spec.schema import schema_text, write_schema

    if out is None:
        print(schema_text(), end="")
    else:
        write_schema(out)


def _members(path: SpecPath) -> list[tuple[str, str, str]]:
    """Name, what it is, and source of every member of the family that stands at a path of the spec."""
    from ticketlab.spec.language import place_at, tag_of

    place = place_at(path, {})
    assert place is not None, f"the spec has no {path}"
    return [(tag_of(member)[1], member.about, member.source) for member in place.sections]  # type: ignore[index,attr-defined]


def _show(rows: list[tuple[str, str, str]], as_json: bool) -> None:
    if as_json:
        print(json.dumps([{"name": name, "about": about, "source": source} for name, about, source in rows], indent=2))
        return
    width = max(len(name) for name, _, _ in rows)
    for name, about, source in rows:
        print(f"{name:{width}}  {about}" + (f"\n{'':{width}}  {source}" if source else ""))
