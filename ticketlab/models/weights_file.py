"""Tensors out of a file of weights, whoever wrote it: safetensors or torch."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ticketlab.errors import DataError
from ticketlab.models.torch_file import read_state_dict


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name: safetensors by the file's ending, else what torch wrote. DataError if it is neither."""
    if path.suffix != ".safetensors":
        return read_state_dict(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as problem:
        raise DataError(
            f"not a safetensors file that can be read: {problem}", where=str(path), mend="download it again"
        ) from None
