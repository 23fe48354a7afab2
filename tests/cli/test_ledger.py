"""What was signed is checked by the command that says so; what a command cannot check or write it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import Result

from ticketlab.errors import EnvironmentProblem, LedgerError, TicketlabError
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.facts import Artifact, Code, RunFacts
from ticketlab.ledger.statement import provenance

Ticketlab = Callable[..., Result]


@pytest.fixture(autouse=True)
def chain(project: Path) -> Chain:
    """A ledger of two entries in the working folder, and the keys of two people."""
    for name in ("mine", "theirs"):
        key = Ed25519PrivateKey.generate()
        (project / f"{name}.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (project / f"{name}-public.pem").write_bytes(public)
    chain = Chain(project / "ledger.jsonl")
    for number in range(2):
        chain.append({"number": number})
    return chain


def refused(result: Result) -> TicketlabError:
    assert isinstance(result.exception, TicketlabError), result.exception
    return result.exception


def test_an_anchor_is_checked_with_the_key_of_who_signed(ticketlab: Ticketlab, chain: Chain) -> None:
    signed = ticketlab("ledger", "anchor", "--key", "mine.pem", "head.json")
    assert (signed.exit_code, signed.stdout) == (0, "signed: 2 entries; head.json\n")
    chain.append({"number": 2})
    checked = ticketlab("ledger", "check", "--key", "mine-public.pem", "--anchor", "head.json")
    assert checked.exit_code == 0
    first, second = checked.stdout.splitlines()
    assert first.startswith("3 entries, ")
    assert second == "head.json: signed by this key; the head it names, after 2 entries, is in this chain"
    other = refused(ticketlab("ledger", "check", "--key", "theirs-public.pem", "--anchor", "head.json"))
    assert "no signature" in other.what


def test_a_ledger_written_anew_is_not_the_one_that_was_signed(
    ticketlab: Ticketlab, chain: Chain, project: Path
) -> None:
    assert ticketlab("ledger", "anchor", "--key", "mine.pem", "head.json").exit_code == 0
    chain.path.unlink()
    (project / ".ticketlab" / "ledger.jsonl.head").unlink()
    for number in (7, 1):
        chain.append({"number": number})
    assert ticketlab("ledger", "check").exit_code == 0, "nothing in the file itself shows it"
    found = refused(ticketlab("ledger", "check", "--key", "mine-public.pem", "--anchor", "head.json"))
    assert "not the one that was signed" in found.what


@pytest.mark.parametrize(
    ("options", "mend"),
    [
        (("--key", "mine-public.pem"), "--bundle FILE"),
        (("--key", "nowhere.pem"), "--anchor FILE"),
        (("--anchor", "head.json"), "--key PUBLIC"),
        (("--bundle", "all.intoto.jsonl"), "--key PUBLIC"),
    ],
)
def test_a_key_without_a_signature_and_a_signature_without_a_key_are_refused(
    ticketlab: Ticketlab, options: tuple[str, ...], mend: str
) -> None:
    found = ticketlab("ledger", "check", *options)
    assert mend in refused(found).mend
    assert found.stdout == "", "nothing is said to be well"


def test_a_key_that_is_not_there_checks_nothing(ticketlab: Ticketlab) -> None:
    ticketlab("ledger", "anchor", "--key", "mine.pem", "head.json")
    found = refused(ticketlab("ledger", "check", "--key", "nowhere.pem", "--anchor", "head.json"))
    assert isinstance(found, EnvironmentProblem)
    assert found.where == "nowhere.pem"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"payload":1}'])
def test_what_is_no_envelope_is_refused_by_name(ticketlab: Ticketlab, project: Path, content: bytes) -> None:
    (project / "head.json").write_bytes(content)
    found = refused(ticketlab("ledger", "check", "--key", "mine-public.pem", "--anchor", "head.json"))
    assert isinstance(found, LedgerError)
    assert (found.what, found.where) == ("this is not a DSSE envelope", "head.json")


def test_a_signed_bundle_is_checked_line_by_line(ticketlab: Ticketlab, chain: Chain, project: Path) -> None:
    bundle = project / "all.intoto.jsonl"
    check = ("ledger", "check", "--key", "mine-public.pem", "--bundle", bundle.name)
    assert ticketlab("ledger", "export", bundle.name, "--key", "mine.pem").exit_code == 0
    said = "all.intoto.jsonl: 2 statements, each signed by this key; {} of them are in this ledger"
    assert ticketlab(*check).stdout.splitlines()[1:] == [said.format(2)]

    chain.path.unlink()
    (project / ".ticketlab" / "ledger.jsonl.head").unlink()
    chain.append({"number": 1})
    assert ticketlab(*check).stdout.splitlines()[1:] == [said.format(1)]

    first, second = bundle.read_bytes().splitlines(keepends=True)
    envelope = json.loads(second)
    envelope["payload"] = json.loads(first)["payload"]
    bundle.write_bytes(first + json.dumps(envelope).encode())
    found = refused(ticketlab(*check))
    assert (found.what, found.where) == ("no signature of the envelope is by this key", "all.intoto.jsonl:2")


def test_a_bundle_without_signatures_is_not_checked_but_refused(ticketlab: Ticketlab, project: Path) -> None:
    check = ("ledger", "check", "--key", "mine-public.pem", "--bundle", "bare.intoto.jsonl")
    ticketlab("ledger", "export", "bare.intoto.jsonl")
    found = refused(ticketlab(*check))
    assert (found.what, found.where) == ("this is not a DSSE envelope", "bare.intoto.jsonl:1")
    (project / "bare.intoto.jsonl").write_bytes(b"")
    assert "no statement" in refused(ticketlab(*check)).what


def test_a_crate_has_the_licence_of_the_command_line(ticketlab: Ticketlab, chain: Chain, project: Path) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    run = RunFacts(
        run="first",
        cell="small/ticket",
        arm="ticket",
        subjects=(Artifact("metrics.json", "0" * 64),),
        spec={},
        device="cpu",
        precision="fp32",
        determinism={},
        machine={},
        code=Code("0" * 64),
        packages={},
        started=now,
        finished=now,
    )
    chain.append(provenance(run))
    licence = "https://spdx.org/licenses/CC-BY-4.0"
    export = ("ledger", "export", "crate", "--format", "ro-crate", "--entry", "first")
    assert ticketlab(*export, "--licence", licence).exit_code == 0
    graph = json.loads((project / "crate" / "ro-crate-metadata.json").read_bytes())["@graph"]
    assert next(one for one in graph if one["@id"] == "./")["license"] == {"@id": licence}


def test_an_option_that_the_format_has_no_place_for_is_refused(ticketlab: Ticketlab, project: Path) -> None:
    signed = ticketlab("ledger", "export", "out", "--format", "ro-crate", "--entry", "0", "--key", "mine.pem")
    assert refused(signed).mend == "--format intoto"
    named = ticketlab("ledger", "export", "out", "--licence", "https://spdx.org/licenses/MIT")
    assert refused(named).mend == "--format ro-crate"
    assert not (project / "out").exists()


@pytest.mark.parametrize("command", ["export", "anchor"])
@pytest.mark.parametrize("out", ["ledger.jsonl", "mine.pem", "link"])
def test_what_a_command_reads_is_not_written_over(ticketlab: Ticketlab, project: Path, command: str, out: str) -> None:
    (project / "link").symlink_to("ledger.jsonl")
    before = [(project / name).read_bytes() for name in ("ledger.jsonl", "mine.pem")]
    found = refused(ticketlab("ledger", command, "--key", "mine.pem", out))
    assert "written over what it is made from" in found.what
    assert [(project / name).read_bytes() for name in ("ledger.jsonl", "mine.pem")] == before


def test_a_ledger_that_is_not_sound_is_not_exported(ticketlab: Ticketlab, chain: Chain, project: Path) -> None:
    first, second = chain.path.read_bytes().splitlines(keepends=True)
    keys: tuple[tuple[str, ...], ...] = ((), ("--key", "mine.pem"))
    for content, wrong in ((second + first, "line 1"), (first + first + second, "line 2"), (first, "line 2")):
        chain.path.write_bytes(content)
        for key in keys:
            found = refused(ticketlab("ledger", "export", "all.intoto.jsonl", *key))
            assert found.where == f"ledger.jsonl, {wrong}"
    assert not (project / "all.intoto.jsonl").exists()


def test_a_statement_that_stands_twice_in_a_bundle_is_counted_once(ticketlab: Ticketlab, project: Path) -> None:
    bundle = project / "all.intoto.jsonl"
    ticketlab("ledger", "export", bundle.name, "--key", "mine.pem")
    bundle.write_bytes(bundle.read_bytes() * 2)
    check = ("ledger", "check", "--key", "mine-public.pem", "--bundle", bundle.name)
    assert "2 statements, each signed by this key; 2 of them" in ticketlab(*check).stdout
