"""The file that lets an interrupted training go on exactly: a state and the step it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ticketlab.errors import CorruptFile
from ticketlab.files import canonical_json, parse_json, sha256_bytes, write_atomically
from ticketlab.tensors import content_digest


def encode(tensors: Mapping[str, Tensor], about: Mapping[str, object]) -> bytes:
    """Tensors and JSON facts as safetensors bytes; equal values give equal bytes, whatever their order or layout."""
    plain = {name: tensors[name].detach().to("cpu").contiguous() for name in sorted(tensors)}
    facts = {"about": dict(about), "seal": _seal(about, plain)}
    return save(plain, metadata={"ticketlab": canonical_json(facts).decode()})


def _seal(about: Mapping[str, object], tensors: Mapping[str, Tensor]) -> str:
    """sha256 over facts and tensors: a step that was altered is as bad as a weight that was."""
    return sha256_bytes(canonical_json([dict(about), content_digest(tensors)]))


def write(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, object]) -> str:
    """Write tensors and facts atomically; the sha256 of the file."""
    content = encode(tensors, about)
    write_atomically(path, content)
    return sha256_bytes(content)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Tensors (on the CPU) and facts. A file that is not one of ours, or was altered, raises `CorruptFile`."""
    mend = "remove it; it will be made again"
    try:
        with safe_open(path, framework="pt", device="cpu") as handle:
            facts = parse_json((handle.metadata() or {})["ticketlab"])
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 - not a mapping
        about, seal = dict(facts["about"]), facts["seal"]
    except (SafetensorError, LookupError, TypeError, ValueError, OSError) as error:
        raise CorruptFile(f"not a readable tensor file ({error})", where=str(path), mend=mend) from error
    if seal != _seal(about, tensors):
        raise CorruptFile("its content is not what was written", where=str(path), mend=mend)
    return tensors, about


def all_finite(tensors: Mapping[str, Tensor]) -> bool:
    """Whether no floating-point tensor holds a NaN or an infinity."""
    floating = [tensor for tensor in tensors.values() if tensor.is_floating_point()]
    return all(bool(torch.isfinite(tensor).all()) for tensor in floating)
