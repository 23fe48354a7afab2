"""The ticket as a file: bit-packed masks in safetensors, under a header that says what they are and seals them.

Each layer of the mask is a one-dimensional uint8 tensor under the layer's name: flat (row-major) index i is bit i % 8,
lowest first, of byte i // 8; the padding of the last byte is zero. Batch-norm buffers that belong to the ticket stand
beside them as "buffer:<name>". The metadata has one key, "ticket": canonical JSON with the format, the facts, each
layer's name, shape and kept count in the mask's order, the exact density, digests of mask and buffers, and a seal, the
sha256 of all that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import load, save
from torch import Tensor

from ticketlab.errors import CorruptFile
from ticketlab.files import canonical_json, sha256_bytes, write_atomically
from ticketlab.tensors import content_digest
from ticketlab.tickets.facts import TicketFacts
from ticketlab.tickets.mask import Mask

FORMAT = "ticketlab ticket 1"
BUFFER = "buffer:"
LARGEST_HEADER = 2**24
LARGEST_FILE = 2**31


def write(path: Path, mask: Mask, about: TicketFacts, buffers: Mapping[str, Tensor] | None = None) -> None:
    """Write a ticket atomically; the same mask, facts and buffers (in any order, on any device) give the same bytes."""
    extra = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in (buffers or {}).items()}
    tensors = {name: torch.frombuffer(bytearray(mask.packed(name)), dtype=torch.uint8) for name in mask}
    tensors |= {BUFFER + name: tensor for name, tensor in extra.items()}
    write_atomically(path, save(tensors, metadata={"ticket": _header(mask, about, extra)}))


def read(path: Path) -> tuple[Mask, TicketFacts, dict[str, Tensor]]:
    """The mask (layers in the order they were written), the facts and the buffers of a ticket.

    Trusts nothing: a file that is missing, damaged, cut short or inconsistent in any way raises CorruptFile. Memory
    stays within ten times the file's length; files over 2 GiB and headers over 16 MiB are refused.
    """
    try:
        return _decoded(_content(path))
    except (ValueError, LookupError, TypeError, RuntimeError, OSError, safetensors.SafetensorError) as problem:
        raise CorruptFile(
            f"not a ticket as it was written: {str(problem)[:300]}",
            where=str(path),
            mend="restore the file, or delete it and draw the ticket again",
        ) from problem


def _header(mask: Mask, about: TicketFacts, buffers: Mapping[str, Tensor]) -> str:
    kept = mask.layer_kept()
    said: dict[str, Any] = {
        "format": FORMAT,
        "about": asdict(about),
        "layers": [[name, list(shape), kept[name]] for name, shape in mask.shapes().items()],
        "density": f"{mask.kept}/{mask.size}",
        "mask_sha256": mask.digest(),
        "buffers": sorted(buffers),
        "buffers_sha256": content_digest(buffers),
    }
    return canonical_json(said | {"seal": sha256_bytes(canonical_json(said))}).decode()


def _content(path: Path) -> bytes:
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError("larger than any ticket")
    content = path.read_bytes()
    if len(content) < 8 or int.from_bytes(content[:8], "little") > min(LARGEST_HEADER, len(content) - 8):
        raise ValueError("the header does not fit")
    return content


def _decoded(content: bytes) -> tuple[Mask, TicketFacts, dict[str, Tensor]]:
    """Take the contents out, write the header they deserve, and compare it with the one that was found."""
    tensors = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]["ticket"]
    said = json.loads(header)
    if said["format"] != FORMAT:
        raise ValueError(f"format {said['format']!r}, where this version reads {FORMAT!r}")
    mask = Mask({name: _unpacked(name, tensors.pop(name), shape) for name, shape, _ in said["layers"]})
    about = TicketFacts(**said["about"])
    buffers = {name: tensors.pop(BUFFER + name) for name in said["buffers"]}
    if tensors:
        raise ValueError(f"tensors that the header does not name: {', '.join(tensors)}")
    if header != _header(mask, about, buffers):
        raise ValueError("the contents are not what the header says")
    return mask, about, buffers


def _unpacked(name: str, packed: Tensor, shape: list[int]) -> Tensor:
    if any(type(length) is not int or length < 1 for length in shape):
        raise ValueError(f"{name}: not a shape: {shape}")
    size = prod(shape)
    if packed.dtype is not torch.uint8 or tuple(packed.shape) != (-(-size // 8),):
        raise ValueError(f"{name}: not {size} packed bits")
    bits = np.unpackbits(packed.numpy(), bitorder="little")
    if bits[size:].any():
        raise ValueError(f"{name}: bits beyond the last weight")
    return torch.from_numpy(bits[:size].astype(np.bool_)).reshape(shape)
