from __future__ import annotations

import json
import sys
from base64 import b64decode, b64encode, urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ticketlab.errors import EnvironmentProblem, LedgerError
from ticketlab.ledger.anchor import check_head, sign_head
from ticketlab.ledger.chain import Chain
from ticketlab.ledger.signing import pre_authentication_encoding, sign, verify

PEM, PKCS8, SPKI = Encoding.PEM, PrivateFormat.PKCS8, PublicFormat.SubjectPublicKeyInfo
# RFC 8032, section 7.1, test 1
SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
SPKI_HEADER = bytes.fromhex("302a300506032b6570032100")
STATEMENT = b'{"_type":"https://in-toto.io/Statement/v1"}'


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    private, public = tmp_path / "key.pem", tmp_path / "public.pem"
    key = Ed25519PrivateKey.from_private_bytes(SECRET)
    private.write_bytes(key.private_bytes(PEM, PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(PEM, SPKI))
    return private, public


def stranger(tmp_path: Path) -> Path:
    path = tmp_path / "stranger.pem"
    path.write_bytes(Ed25519PrivateKey.generate().public_key().public_bytes(PEM, SPKI))
    return path


def test_what_is_signed_is_encoded_as_dsse_says() -> None:
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pre_authentication_encoding("", b"") == b"DSSEv1 0  0 "
    assert pre_authentication_encoding("\u00fc", b"\0 1 \n") == b"DSSEv1 2 \xc3\xbc 5 \0 1 \n"


def test_an_envelope_holds_the_statement_and_the_signature_of_its_encoding(keys: tuple[Path, Path]) -> None:
    private, _ = keys
    envelope = sign(STATEMENT, private)
    signed = b"DSSEv1 28 application/vnd.in-toto+json 43 " + STATEMENT
    assert envelope == {
        "payload": b64encode(STATEMENT).decode(),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [
            {
                "keyid": sha256(SPKI_HEADER + PUBLIC).hexdigest(),
                "sig": b64encode(Ed25519PrivateKey.from_private_bytes(SECRET).sign(signed)).decode(),
            }
        ],
    }


def test_the_statement_comes_back_only_with_the_key_that_signed_it(keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    envelope = json.loads(json.dumps(sign(STATEMENT, private)))
    assert verify(envelope, public) == STATEMENT
    with pytest.raises(LedgerError, match="no signature"):
        verify(envelope, stranger(tmp_path))


def test_any_changed_bit_of_payload_type_or_signature_is_refused(keys: tuple[Path, Path]) -> None:
    private, public = keys
    envelope = sign(STATEMENT, private)
    signature = b64decode(envelope["signatures"][0]["sig"])
    for place in range(len(STATEMENT)):
        payload = bytearray(STATEMENT)
        payload[place] ^= 1
        with pytest.raises(LedgerError):
            verify({**envelope, "payload": b64encode(payload).decode()}, public)
    for place in range(len(signature)):
        altered = bytearray(signature)
        altered[place] ^= 1
        with pytest.raises(LedgerError):
            verify({**envelope, "signatures": [{"sig": b64encode(altered).decode()}]}, public)
    with pytest.raises(LedgerError):
        verify({**envelope, "payloadType": "application/vnd.in-toto+jsoN"}, public)


def test_either_base64_any_key_id_and_other_signatures_are_accepted(keys: tuple[Path, Path]) -> None:
    private, public = keys
    statement = b'{"a":"\xff\xfe\xfb?>~"}'
    envelope = sign(statement, private)
    signature = envelope["signatures"][0]["sig"]
    other = {
        "payload": urlsafe_b64encode(statement).decode(),
        "payloadType": envelope["payloadType"],
        "signatures": [{"keyid": "x", "sig": "AAAA"}, {"sig": signature.replace("+", "-").replace("/", "_")}],
        "unknown": 1,
    }
    assert verify(other, public) == statement


def test_another_type_of_payload_is_refused_although_signed(keys: tuple[Path, Path]) -> None:
    _, public = keys
    signature = Ed25519PrivateKey.from_private_bytes(SECRET).sign(b"DSSEv1 1 x 1 y")
    envelope = {"payload": "eQ==", "payloadType": "x", "signatures": [{"sig": b64encode(signature).decode()}]}
    with pytest.raises(LedgerError, match="holds 'x'"):
        verify(envelope, public)


@pytest.mark.parametrize(
    "change",
    [
        {"payload": None},
        {"payload": "not base64!"},
        {"payload": "\u00fc"},
        {"payloadType": 1},
        {"signatures": None},
        {"signatures": [{}]},
        {"signatures": ["x"]},
        {"signatures": []},
    ],
)
def test_a_malformed_envelope_is_refused(keys: tuple[Path, Path], change: dict[str, Any]) -> None:
    private, public = keys
    with pytest.raises(LedgerError):
        verify({**sign(STATEMENT, private), **change}, public)


def test_a_file_that_holds_no_such_key_is_refused_with_the_way_to_make_one(
    keys: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = keys
    wrong = tmp_path / "wrong.pem"
    ed25519 = Ed25519PrivateKey.from_private_bytes(SECRET)
    curve = generate_private_key(SECP256R1())
    none, other = "holds no key without password", "not an ed25519 private key"
    for content, words in (
        (b"", none),
        (b"junk", none),
        (public.read_bytes(), none),
        (curve.private_bytes(PEM, PKCS8, NoEncryption()), other),
        (ed25519.private_bytes(PEM, PKCS8, BestAvailableEncryption(b"word")), none),
    ):
        wrong.write_bytes(content)
        with pytest.raises(EnvironmentProblem, match=words) as caught:
            sign(STATEMENT, wrong)
        assert "openssl genpkey" in caught.value.mend
    for content in (b"junk", private.read_bytes(), curve.public_key().public_bytes(PEM, SPKI)):
        wrong.write_bytes(content)
        with pytest.raises(EnvironmentProblem):
            verify(sign(STATEMENT, private), wrong)
    with pytest.raises(EnvironmentProblem, match="cannot be read"):
        sign(STATEMENT, tmp_path / "nowhere.pem")


def test_without_cryptography_the_user_is_told_what_to_install(
    keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [])
    monkeypatch.setattr(sys, "path_hooks", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    with pytest.raises(EnvironmentProblem) as caught:
        sign(STATEMENT, keys[0])
    assert "ticketlab[sign]" in caught.value.mend


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    chain = Chain(tmp_path / "ledger.jsonl")
    for number in range(3):
        chain.append({"number": number})
    return chain


def test_a_signed_head_stands_for_all_entries_and_lets_the_chain_grow(chain: Chain, keys: tuple[Path, Path]) -> None:
    private, public = keys
    envelope = sign_head(chain, private)
    last = list(chain.entries())[-1]
    assert json.loads(b64decode(envelope["payload"])) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": chain.path.name, "digest": {"sha256": last.digest}}],
        "predicateType": "urn:ticketlab:ledger-head:v1",
        "predicate": {"entries": 3},
    }
    chain.append({"number": 3})
    head = check_head(chain, envelope, public)
    assert head.entries == 3
    assert head.digest == list(chain.entries())[2].digest


def test_a_signed_head_exposes_a_chain_rewritten_or_shortened_with_all_its_digests_made_anew(
    chain: Chain, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = keys
    envelope = sign_head(chain, private)
    (tmp_path / "forged").mkdir()
    forged = Chain(tmp_path / "forged" / "ledger.jsonl")
    forged.append({"number": 100})
    with pytest.raises(LedgerError, match="fewer"):
        check_head(forged, envelope, public)
    for number in (1, 2, 3):
        forged.append({"number": number})
    assert forged.check().sound
    with pytest.raises(LedgerError, match="not the one that was signed"):
        check_head(forged, envelope, public)


def test_a_statement_that_is_no_head_is_refused_as_one(chain: Chain, keys: tuple[Path, Path]) -> None:
    private, public = keys
    for statement in (STATEMENT, b"junk", b"[]", b'{"predicateType":"urn:ticketlab:ledger-head:v1","predicate":{}}'):
        with pytest.raises(LedgerError, match="head of a ledger"):
            check_head(chain, sign(statement, private), public)


def test_an_empty_or_broken_chain_is_not_signed(chain: Chain, keys: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="empty"):
        sign_head(Chain(tmp_path / "none.jsonl"), keys[0])
    chain.path.write_bytes(chain.path.read_bytes().replace(b'"number":1', b'"number":7'))
    with pytest.raises(LedgerError, match="seal"):
        sign_head(chain, keys[0])
