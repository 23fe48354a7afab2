"""`ticketlab ledger`: asking the chain of statements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ticketlab.cli.arguments import Json

if TYPE_CHECKING:
    from ticketlab.ledger.chain import Chain

app = typer.Typer(help="The ledger: what produced what.", no_args_is_help=True)
EntryName = Annotated[str, typer.Argument(metavar="ENTRY", help="Index, run id, or the beginning of a digest.")]


def _chain() -> tuple[Path, Chain]:
    """The project's root and its ledger."""
    from ticketlab.ledger.chain import Chain
    from ticketlab.run.project import Project

    project = Project.around(Path.cwd())
    return project.root, Chain(project.ledger)


@app.command()
def check(
    key: Annotated[
        Path | None, typer.Option(help="Public ed25519 key (PEM) of who signed --anchor and --bundle.")
    ] = None,
    anchor: Annotated[Path | None, typer.Option(help="Signed head, as `ledger anchor` wrote it.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Signed statements, as `ledger export --key` wrote them.")] = None,
) -> None:
    """Check the chain: the first altered, removed or moved line is named. With a key, check what it signed as well."""
    from ticketlab.errors import LedgerError

    if key and not (anchor or bundle):
        raise LedgerError(
            "a key checks what was signed, and none of it is named", mend="add --anchor FILE or --bundle FILE"
        )
    if (anchor or bundle) and not key:
        raise LedgerError("a signature is checked with the public key of who signed", mend="add --key PUBLIC")
    _, chain = _chain()
    report = chain.check()
    if report.fault:
        raise LedgerError(report.fault.what, where=f"{chain.path.name}, line {report.fault.line}")
    print(f"{report.head.entries} entries, each naming the one before it; head {report.head.digest}")
    if key and anchor:
        _check_anchor(anchor, chain, key)
    if key and bundle:
        _check_bundle(bundle, chain, key)


def _check_anchor(anchor: Path, chain: Chain, key: Path) -> None:
    from ticketlab.ledger.anchor import check_head
    from ticketlab.ledger.signing import envelope_in

    head = check_head(chain, envelope_in(anchor.read_bytes(), str(anchor)), key)
    print(f"{anchor}: signed by this key; the head it names, after {head.entries} entries, is in this chain")


def _check_bundle(bundle: Path, chain: Chain, key: Path) -> None:
    from ticketlab.ledger.bundle import check_bundle

    found = check_bundle(bundle, chain, key)
    print(
        f"{bundle}: {found.statements} statements, each signed by this key; {found.recorded} of them are in this ledger"
    )


@app.command()
def anchor(
    key: Annotated[Path, typer.Option(help="Your private ed25519 key (PEM).")],
    out: Annotated[Path, typer.Argument(help="File to write the signed head to; keep it elsewhere.")],
) -> None:
    """Sign the head of the chain: later, `check --key PUBLIC --anchor OUT` tells whether anything before it changed."""
    from ticketlab.files import write_json
    from ticketlab.ledger.anchor import sign_head

    _, chain = _chain()
    _refuse_to_overwrite(out, chain.path, key)
    write_json(out, sign_head(chain, key))
    print(f"signed: {len(list(chain.entries()))} entries; {out}")


def _refuse_to_overwrite(out: Path, *read: Path | None) -> None:
    """LedgerError if `out` is one of the files that are `read`, by whatever name."""
    from ticketlab.errors import LedgerError

    for path in read:
        if path is not None and out.exists() and path.exists() and out.samefile(path):
            raise LedgerError("this would be written over what it is made from", where=str(out), mend="name a new file")


@app.command("list")
def list_entries(as_json: Json = False) -> None:
    """Every entry in one line."""
    from dataclasses import asdict

    from ticketlab.ledger.descriptor import spelt
    from ticketlab.ledger.listing import summary
    from ticketlab.report.table import share

    _, chain = _chain()
    for entry in chain.entries():
        found = summary(entry)
        if as_json:
            metric = found.metric and (found.metric[0], spelt(found.metric[1]))
            print(json.dumps({**asdict(found), "metric": metric}, default=str))
            continue
        density = "" if found.density is None else share(found.density)
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
    from ticketlab.ledger.listing import find

    _, chain = _chain()
    print(json.dumps(find(chain, entry).statement, indent=2, sort_keys=True))


@app.command()
def diff(left: EntryName, right: EntryName, as_json: Json = False) -> None:
    """What differs between two runs: spec, code, data, environment, machine, result."""
    from dataclasses import asdict

    from ticketlab.ledger.diff import difference
    from ticketlab.ledger.listing import find
    from ticketlab.spec.quoting import printable

    _, chain = _chain()
    found = difference(find(chain, left).statement, find(chain, right).statement)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2, default=str))
        return
    for one in found:
        print(f"{one.kind:12} {printable(one.path)}: {one.left!r} -> {one.right!r}")
    if not found:
        print("the same in every field")


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="File (intoto) or folder (ro-crate) to write.")],
    form: Annotated[Literal["intoto", "ro-crate"], typer.Option("--format", help="Format.")] = "intoto",
    entry: Annotated[str | None, typer.Option(help="Only this entry; ro-crate needs one.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private ed25519 key (PEM) that signs each statement.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="URI of the licence of what is in the crate; ro-crate only.")
    ] = None,
) -> None:
    """Write entries in a standard format."""
    from functools import partial

    from ticketlab.errors import LedgerError
    from ticketlab.files import write_atomically
    from ticketlab.ledger.export import intoto, ro_crate
    from ticketlab.ledger.listing import find
    from ticketlab.ledger.signing import sign

    if form == "ro-crate" and key:
        raise LedgerError("a key signs statements, and a crate has no place for it", mend="--format intoto")
    if form == "intoto" and licence:
        raise LedgerError("a bundle of statements names no licence", mend="--format ro-crate")
    root, chain = _chain()
    _refuse_to_overwrite(out, chain.path, key)
    fault = chain.check().fault
    if fault and fault.wrong != "torn":
        raise LedgerError(fault.what, where=f"{chain.path.name}, line {fault.line}")
    chosen = [find(chain, entry)] if entry else list(chain.entries())
    if form == "intoto":
        signer = partial(sign, key=key) if key else None
        write_atomically(out, b"".join(intoto(chosen, signer)))
    elif entry:
        ro_crate(chosen[0], root, out, licence or "")
    else:
        raise LedgerError("an RO-Crate describes one run", mend="name it: --entry INDEX")
    print(f"wrote {out}")
