"""One digest for named tensors, wherever they are kept: in checkpoints, tickets, feature extractors."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from ticketlab.files import canonical_json


def content_digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, types, shapes and bytes in the order of the names; order, device and memory layout do not count."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(canonical_json([name, str(tensor.dtype), list(tensor.shape)]))
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
