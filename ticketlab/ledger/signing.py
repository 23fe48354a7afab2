"""Signatures: DSSE envelopes around statements, with an ed25519 key that the user keeps in a PEM file."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ticketlab.errors import EnvironmentProblem, LedgerError
from ticketlab.files import sha256_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"

Envelope = dict[str, Any]


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: "DSSEv1", then length and content of type and payload, spaced (DSSE v1.0.2, PAE)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(statement: bytes, key: Path) -> Envelope:
    """The DSSE envelope of a statement's bytes, signed with the ed25519 private key in a file (PKCS #8, no password).

    EnvironmentProblem if `cryptography` is not installed or the file does not hold such a key.
    """
    private = _private_key(key)
    signature = private.sign(pre_authentication_encoding(PAYLOAD_TYPE, statement))
    return {
        "payload": b64encode(statement).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": _key_id(private.public_key()), "sig": b64encode(signature).decode()}],
    }


def envelope_in(content: bytes, where: str) -> Envelope:
    """The envelope that the bytes of a file, or of a line of a bundle, hold; LedgerError at `where` if they do not."""
    try:
        found: Envelope = json.loads(content)
        _opened(found)
    except (ValueError, RecursionError, LedgerError) as error:
        raise LedgerError("this is not a DSSE envelope", where=where) from error
    return found


def verify(envelope: Mapping[str, Any], public: Path) -> bytes:
    """The statement an envelope carries, if the key in the PEM file signed it; LedgerError if not, or if malformed.

    Use the bytes that are returned, never the envelope's own: they are what was verified.
    """
    key = _public_key(public)
    from cryptography.exceptions import InvalidSignature

    payload, payload_type, signatures = _opened(envelope)
    signed = pre_authentication_encoding(payload_type, payload)
    for signature in signatures:
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            continue
        if payload_type != PAYLOAD_TYPE:
            raise LedgerError(f"the envelope holds {payload_type!r}, not {PAYLOAD_TYPE!r}")
        return payload
    raise LedgerError("no signature of the envelope is by this key", where=str(public))


def _opened(envelope: Mapping[str, Any]) -> tuple[bytes, str, list[bytes]]:
    try:
        payload_type = envelope["payloadType"]
        signatures = [_decoded(one["sig"]) for one in envelope["signatures"]]
        if not isinstance(payload_type, str):
            raise TypeError("payloadType is not text")
        return _decoded(envelope["payload"]), payload_type, signatures
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LedgerError("this is not a DSSE envelope") from error


def _decoded(text: str) -> bytes:
    """Standard or URL-safe base64, either of which DSSE allows."""
    try:
        return b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _key_id(public: Ed25519PublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return sha256_bytes(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _private_key(path: Path) -> Ed25519PrivateKey:
    _require_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = _loaded(path, lambda pem: load_pem_private_key(pem, password=None))
    if not isinstance(key, Ed25519PrivateKey):
        raise EnvironmentProblem("this is not an ed25519 private key", where=str(path), mend=_HOW_TO_MAKE_KEYS)
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    _require_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = _loaded(path, load_pem_public_key)
    if not isinstance(key, Ed25519PublicKey):
        raise EnvironmentProblem("this is not an ed25519 public key", where=str(path), mend=_HOW_TO_MAKE_KEYS)
    return key


def _loaded(path: Path, load: Callable[[bytes], object]) -> object:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return load(path.read_bytes())
    except OSError as error:
        raise EnvironmentProblem(f"the key cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise EnvironmentProblem(
            "the file holds no key without password in PEM", where=str(path), mend=_HOW_TO_MAKE_KEYS
        ) from error


def _require_cryptography() -> None:
    if find_spec("cryptography") is None:
        what = "signing needs the package `cryptography`, which is not installed"
        raise EnvironmentProblem(what, mend="pip install 'ticketlab[sign]'")


_HOW_TO_MAKE_KEYS = (
    "`openssl genpkey -algorithm ed25519 -out key.pem` makes a private key, "
    "`openssl pkey -in key.pem -pubout -out public.pem` its public one"
)
