"""`ticketlab ledger`: asking the chain of statements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from ticketlab.cli.arguments import Json

app = typer.Typer(help="The ledger: what produced what.", no_args_is_help=True)
EntryName = Annotated[str, typer.Argument(metavar="ENTRY", help="Index, run id, or the beginning of a digest.")]


def _chain() -> tuple[Path, object]:
    from ticketlab.ledger.chain import Chain
    from ticketlab.run.project import Project

    project = Project.around(Path.cwd())
    return project.root, Chain(project.ledger)


@app.command()
def check(
    key: Annotated[Path | None, typer.Option(help="Public key (PEM) of the signed head in --anchor.")] = None,
    anchor: Annotated[Path | None, typer.Option(help="Signed head, as `ledger anchor` wrote it.")] = None,
) -> None:
    """Check the chain: the first altered, removed or moved line is named."""
    from ticketlab.errors import LedgerError
    from ticketlab.ledger.anchor import check_head
    from ticketlab.ledger.chain import Chain

    _, chain = _chain()
    assert isinstance(chain, Chain)
    report = chain.check()
    if not report.sound:
        raise LedgerError(
            str(report.fault.what if report.fault else "broken"),
            where=f"{chain.path.name}, line {report.fault.line if report.fault else 0}",
        )
    print(f"{report.head.entries} entries, each naming the one before it; head {report.head.digest}")
    if key and anchor:
        head = check_head(chain, json.loads(anchor.read_bytes()), key)
        print(f"the signed head, after {head.entries} entries, is in this chain")


@app.command()
def anchor(
    key: Annotated[Path, typer.Option(help="Your private ed25519 key (PEM).")],
    out: Annotated[Path, typer.Argument(help="File to write the signed head to; keep it elsewhere.")],
) -> None:
    """Sign the head of the chain: later, `check --key PUBLIC --anchor OUT` tells whether anything before it changed."""
    from ticketlab.files import write_json
    from ticketlab.ledger.anchor import sign_head
    from ticketlab.ledger.chain import Chain

    _, chain = _chain()
    assert isinstance(chain, Chain)
    write_json(out, sign_head(chain, key))
    print(f"signed: {len(list(chain.entries()))} entries; {out}")


@app.command("list")
def list_entries(as_json: Json = False) -> None:
    """Every entry in one line."""
    from dataclasses import asdict

    from ticketlab.ledger.chain import Chain
    from ticketlab.ledger.listing import summary

    _, chain = _chain()
    assert isinstance(chain, Chain)
    for entry in chain.entries():
        found = summary(entry)
        if as_json:
            print(json.dumps(asdict(found), default=str))
            continue
        density = "" if found.density is None else f"{found.density:.2%}"
        came_out = "" if found.metric is None else f"{found.metric[0]} {found.metric[1]:.4g}"
        if found.result is not None:
            came_out = found.result + {"files": ", of files only", "redone": ", done again", None: ""}[found.mode]
        when = found.at.strftime("%Y-%m-%d %H:%M") if found.at else ""
        print(
            f"{found.index:4}  {found.digest}  {when}  {found.kind:12}  {found.cell or found.run:32}  {density:>8}  {came_out}"
        )


@app.command()
def show(entry: EntryName) -> None:
    """One entry whole, as JSON."""
    from ticketlab.ledger.chain import Chain
    from ticketlab.ledger.listing import find

    _, chain = _chain()
    assert isinstance(chain, Chain)
    print(json.dumps(find(chain, entry).statement, indent=2, sort_keys=True))


@app.command()
def diff(left: EntryName, right: EntryName, as_json: Json = False) -> None:
    """What differs between two runs: spec, code, data, environment, machine, result."""
    from dataclasses import asdict

    from ticketlab.ledger.chain import Chain
    from ticketlab.ledger.diff import difference
    from ticketlab.ledger.listing import find

    _, chain = _chain()
    assert isinstance(chain, Chain)
    found = difference(find(chain, left).statement, find(chain, right).statement)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2, default=str))
        return
    for one in found:
        print(f"{one.kind:12} {one.path}: {one.left!r} -> {one.right!r}")
    if not found:
        print("the same in every field")


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="File (intoto) or folder (ro-crate) to write.")],
    form: Annotated[Literal["intoto", "ro-crate"], typer.Option("--format", help="Format.")] = "intoto",
    entry: Annotated[str | None, typer.Option(help="Only this entry; ro-crate needs one.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private ed25519 key (PEM) that signs each statement.")] = None,
) -> None:
    """Write entries in a standard format."""
    from functools import partial

    from ticketlab.errors import LedgerError
    from ticketlab.files import write_atomically
    from ticketlab.ledger.chain import Chain
    from ticketlab.ledger.export import intoto, ro_crate
    from ticketlab.ledger.listing import find
    from ticketlab.ledger.signing import sign

    root, chain = _chain()
    assert isinstance(chain, Chain)
    chosen = [find(chain, entry)] if entry else list(chain.entries())
    if form == "intoto":
        signer = partial(sign, key=key) if key else None
        write_atomically(
            out, b"".join(line if line.endswith(b"\n") else line + b"\n" for line in intoto(chosen, signer))
        )
    elif entry:
        ro_crate(chosen[0], root, out)
    else:
        raise LedgerError("an RO-Crate describes one run", mend="name it: --entry INDEX")
    print(f"wrote {out}")
