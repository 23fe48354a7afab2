"""From scores to a mask: exactly as many as asked, ties broken by index, nothing pruned comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ticketlab.errors import Diverged

if TYPE_CHECKING:
    from ticketlab.tickets.mask import Mask

Vector = np.ndarray[tuple[int], np.dtype[Any]]


def keep_highest(scores: Mapping[str, Tensor], keep: int, within: Mask | None = None) -> dict[str, Tensor]:
    """Keep the `keep` highest scores of a group of layers; the result has the names, order and shapes of `scores`.

    Only entries kept in `within` compete. Among equal scores the lowest flat (row-major) index of the earliest layer is
    kept first. Time is linear in the number of weights. Scores are floating point of any width, on any device; layers
    of different widths are compared exactly.
    Raises Diverged, naming the layer, for NaN; TypeError for other number types; ValueError if `keep` is not in
    [0, number of competing entries].
    """
    flat = {name: _flat(name, score) for name, score in scores.items()}
    live = None if within is None else _competing(scores, within)
    everything = np.concatenate(list(flat.values()))
    competing = everything if live is None else everything[live]
    if not 0 <= keep <= len(competing):
        raise ValueError(f"cannot keep {keep} of {len(competing)} weights")
    chosen = _highest(competing, keep)
    if live is not None:
        live[live] = chosen
        chosen = live
    ends = np.cumsum([len(score) for score in flat.values()])[:-1]
    return {
        name: torch.from_numpy(part.copy()).reshape(scores[name].shape)
        for name, part in zip(flat, np.split(chosen, ends), strict=True)
    }


@torch.no_grad()
def highest_magnitudes(scores: Mapping[str, Tensor], keep: int) -> dict[str, Tensor]:
    """The `keep` highest |score| of a group of layers, chosen on their device; ties as in `keep_highest`.

    For masks that are made anew at every step: nothing waits for another device.
    """
    flat = torch.cat([score.abs().reshape(-1) for score in scores.values()])
    order = flat.sort(descending=True, stable=True).indices
    kept = torch.zeros_like(flat, dtype=torch.bool)
    kept[order[:keep]] = True
    parts = torch.split(kept, [score.numel() for score in scores.values()])
    return {layer: part.view(score.shape) for (layer, score), part in zip(scores.items(), parts, strict=True)}


def _flat(name: str, score: Tensor) -> Vector:
    if not score.is_floating_point():
        raise TypeError(f"{name}: scores are floating point, not {score.dtype}")
    values = score.detach().cpu()
    if values.dtype is not torch.float64:
        values = values.to(torch.float32)
    vector: Vector = values.contiguous().numpy().reshape(-1)
    if np.isnan(vector).any():
        raise Diverged("the scores contain NaN", where=name)
    return vector


def _competing(scores: Mapping[str, Tensor], within: Mask) -> Vector:
    kept = {name: within[name] for name in scores}
    for name, score in scores.items():
        if kept[name].shape != score.shape:
            raise ValueError(f"{name}: scores of shape {tuple(score.shape)}, mask of shape {tuple(kept[name].shape)}")
    competing: Vector = np.concatenate([layer.numpy().reshape(-1) for layer in kept.values()])
    return competing


def _highest(values: Vector, keep: int) -> Vector:
    """A bool vector that marks the `keep` highest values, the first of equal ones."""
    if keep == 0:
        return np.zeros(len(values), dtype=np.bool_)
    place = len(values) - keep
    threshold = np.partition(values, place)[place]
    chosen: Vector = values > threshold
    missing = keep - np.count_nonzero(chosen)
    chosen[np.flatnonzero(values == threshold)[:missing]] = True
    return chosen
