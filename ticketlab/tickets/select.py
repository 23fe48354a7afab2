"""From scores to a mask: exactly as many as asked, ties broken by index, nothing pruned comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ticketlab.errors import Diverged
from ticketlab.tickets.layout import memory_axes

if TYPE_CHECKING:
    from ticketlab.tickets.mask import Mask

Vector = np.ndarray[tuple[int], np.dtype[Any]]

SPARSE = 256
"""One score in so many is looked at to guess where the threshold is."""

CACHED = 1 << 17
"""So many scores stay in a processor's cache while they are looked at several times."""


def keep_highest(scores: Mapping[str, Tensor], keep: int, within: Mask | None = None) -> dict[str, Tensor]:
    """Keep the `keep` highest scores of a group of layers; the result has the names, order and shapes of `scores`.

    Only entries kept in `within` compete. Among equal scores the lowest flat (row-major) index of the earliest layer is
    kept first. Time is linear in the number of weights. Scores are floating point of any width and layout, on any
    device; layers of different widths are compared exactly, and each layer of the result has the layout of its scores.
    Raises Diverged, naming the layer, for NaN; TypeError for other number types; ValueError if `keep` is not in
    [0, number of competing entries].
    """
    layers = [_Ranked(name, score, within) for name, score in scores.items()]
    competing = sum(layer.competing for layer in layers)
    if not 0 <= keep <= competing:
        raise ValueError(f"cannot keep {keep} of {competing} weights")
    _keep(layers, keep, competing)
    return {layer.name: layer.kept() for layer in layers}


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


class _Ranked:
    """One layer's scores, in the order in which they lie in memory, and what is chosen of them so far."""

    def __init__(self, name: str, score: Tensor, within: Mask | None) -> None:
        if not score.is_floating_point():
            raise TypeError(f"{name}: scores are floating point, not {score.dtype}")
        values = score.detach().cpu()
        if values.dtype is not torch.float64:
            values = values.to(torch.float32)
        self.name = name
        self._axes = memory_axes(values)
        self._shape = tuple(values.shape)
        self.values: Vector = self._in_memory_order(values.numpy())
        self._live: Vector | None = None
        if within is not None:
            if within.flags(name).shape != self._shape:
                raise ValueError(f"{name}: scores of shape {self._shape}, mask of shape {within.flags(name).shape}")
            self._live = self._in_memory_order(within.flags(name))
        self.competing = len(self.values) if self._live is None else int(np.count_nonzero(self._live))
        self.chosen = np.empty(len(self.values), dtype=np.bool_)

    def _in_memory_order(self, array: np.ndarray[Any, Any]) -> Vector:
        vector: Vector = array.transpose(self._axes).reshape(-1)
        return vector

    def sample(self) -> Vector:
        """Some of the competing scores."""
        few = self.values[::SPARSE]
        return few if self._live is None else few[self._live[::SPARSE]]

    def choose(self, low: np.floating[Any], high: np.floating[Any]) -> Vector:
        """Choose what competes from `low` upwards; returns the places of those up to `high`, in memory order."""
        between = []
        for start in range(0, len(self.values), CACHED):
            values, chosen = self.values[start : start + CACHED], self.chosen[start : start + CACHED]
            if np.isnan(values.min()):
                raise Diverged("the scores contain NaN", where=self.name)
            np.greater_equal(values, low, out=chosen)
            if self._live is not None:
                chosen &= self._live[start : start + CACHED]
            near = values <= high
            near &= chosen
            between.append(near.nonzero()[0] + start)
        return np.concatenate(between)

    def last(self, places: Vector, count: int) -> Vector:
        """The `count` of these places whose row-major index is highest."""
        if self._axes == sorted(self._axes):
            return places[len(places) - count :]
        at = np.unravel_index(places, [self._shape[axis] for axis in self._axes])
        index = np.ravel_multi_index(tuple(at[self._axes.index(axis)] for axis in range(len(at))), self._shape)
        return places[np.argsort(index)][len(places) - count :]

    def kept(self) -> Tensor:
        """What is chosen, in the shape and layout of the scores."""
        laid = self.chosen.reshape([self._shape[axis] for axis in self._axes])
        return torch.from_numpy(laid.transpose(np.argsort(self._axes).tolist()))


def _keep(layers: list[_Ranked], keep: int, competing: int) -> None:
    """Choose the `keep` highest, the first of equal ones.

    Two ranks of a sample have the threshold between them, nearly always; all that is sorted lies between them, and all
    above is counted. Where they have not, everything is sorted.
    """
    for low, high in (_bracket(layers, keep, competing), (-np.float64("inf"), np.float64("inf"))):
        places = [layer.choose(low, high) for layer in layers]
        surplus = sum(int(np.count_nonzero(layer.chosen)) for layer in layers) - keep
        if 0 <= surplus <= sum(map(len, places)):
            break
    _drop_lowest(layers, places, surplus)


def _bracket(layers: list[_Ranked], keep: int, competing: int) -> tuple[np.floating[Any], np.floating[Any]]:
    """A score that more than `keep` competing ones reach, in all likelihood, and one that fewer do."""
    sample = np.sort(np.concatenate([layer.sample() for layer in layers]))
    middle = len(sample) * (1 - keep / max(competing, 1))
    margin = 2 * len(sample) ** 0.5 + 1
    low, high = int(middle - margin), int(middle + margin)
    return (
        sample[low] if low >= 0 else np.float64("-inf"),
        sample[high] if high < len(sample) else np.float64("inf"),
    )


def _drop_lowest(layers: list[_Ranked], places: list[Vector], surplus: int) -> None:
    """Of the entries at `places` the `surplus` lowest are not chosen after all, the last of equal ones."""
    if surplus == 0:
        return
    values = [layer.values[at] for layer, at in zip(layers, places, strict=True)]
    everything = np.concatenate(values)
    everything.partition(surplus - 1)
    threshold = everything[surplus - 1]
    for layer, at, found in zip(layers, places, values, strict=True):
        lower = at[found < threshold]
        layer.chosen[lower] = False
        surplus -= len(lower)
    for layer, at, found in zip(reversed(layers), reversed(places), reversed(values), strict=True):
        equal = at[found == threshold]
        dropped = equal if len(equal) <= surplus else layer.last(equal, surplus)
        layer.chosen[dropped] = False
        surplus -= len(dropped)
