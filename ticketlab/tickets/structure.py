"""What is pruned together: single weights, N of every M inputs, whole channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

import torch
from torch import Generator, Tensor

from ticketlab.made import made
from ticketlab.tickets.schedule import kept_above_percentile, kept_after, kept_as_released
from ticketlab.tickets.select import keep_highest

if TYPE_CHECKING:
    from ticketlab.spec.drawing import Schedule
    from ticketlab.spec.masked import LayerKind
    from ticketlab.spec.structure import NofM, StructureChoice
    from ticketlab.tickets.mask import Mask


class Structure(Protocol):
    """How scores become a mask of one structure, and which other masks have the same counts and structure.

    `rebuilds`: whether every round chooses among all weights anew, so that pruned ones may come back.
    """

    rebuilds: ClassVar[bool] = False

    @staticmethod
    def count(schedule: Schedule, rounds_done: int, size: int, kind: LayerKind | None) -> int:
        """How many of `size` weights are kept after a round."""
        return kept_after(schedule, rounds_done, size, kind)

    def select(self, scores: Mapping[str, Tensor], keep: int, within: Mask) -> dict[str, Tensor]:
        """The entries of a group of layers that are kept: within `within`, `keep` of them or as the structure has it."""
        ...

    def permuted(self, kept: Tensor, source: Generator) -> Tensor:
        """A layer's bits after a uniform permutation that keeps the structure."""
        ...


def structure(options: StructureChoice) -> Structure:
    """The structure that a spec names."""
    return cast("Structure", made(options.made_by)(options))


def weights(options: StructureChoice) -> Structure:
    """Single weights."""
    return Weights()


def above_threshold(options: StructureChoice) -> Structure:
    """Single weights by the rule of the released pruners."""
    return AboveThreshold()


def percentile(options: StructureChoice) -> Structure:
    """Single weights by the rule of the LotteryTicket class."""
    return AbovePercentile()


def channels(options: StructureChoice) -> Structure:
    """Whole output channels."""
    return Channels()


def groups(options: NofM) -> Structure:
    """N of every m inputs."""
    return Groups(options.n, options.m)


class Weights(Structure):
    """Single weights: the highest scores anywhere in the group, exactly `keep`."""

    def select(self, scores: Mapping[str, Tensor], keep: int, within: Mask) -> dict[str, Tensor]:
        """The `keep` highest scores; ties go to the lowest index of the earliest layer."""
        return keep_highest(scores, keep, within)

    def permuted(self, kept: Tensor, source: Generator) -> Tensor:
        """All entries change places."""
        return kept.reshape(-1)[torch.randperm(kept.numel(), generator=source)].reshape(kept.shape)


class AboveThreshold(Weights):
    """Single weights whose score is above the (n - keep)-th smallest of all n in the group.

    Weights that score what the threshold is are all pruned, so fewer than `keep` may stay, or none; if the last round
    leaves too few, `draw_round` refuses the ticket. As in the released code every round makes its mask from nothing:
    a pruned weight that scores above the threshold is back. Random scores are drawn again, SNIP's derivative in the
    mask of a pruned weight is seldom zero, and GraSP's zero is more than a negative score; the other scores of pruned
    weights are the lowest there are, or never change, and their masks nest.
    """

    rebuilds: ClassVar[bool] = True

    @staticmethod
    def count(schedule: Schedule, rounds_done: int, size: int, kind: LayerKind | None) -> int:
        """As the released code counts, in floating point."""
        return kept_as_released(schedule, rounds_done, size, kind)

    def select(self, scores: Mapping[str, Tensor], keep: int, within: Mask) -> dict[str, Tensor]:
        """What scores above the threshold, wherever it lies; everything where nothing is to be pruned."""
        flat = torch.cat([score.double().reshape(-1) for score in scores.values()])
        threshold = flat.kthvalue(len(flat) - keep).values if keep < len(flat) else -torch.inf
        return {layer: score > threshold for layer, score in scores.items()}


class AbovePercentile(AboveThreshold):
    """Single weights whose score is above a percentile of the group's, linearly interpolated.

    An interpolated threshold prunes what the number below it prunes, so only the count is another: one weight more goes
    than of the share that is asked for, but where rounding makes that the same.
    """

    @staticmethod
    def count(schedule: Schedule, rounds_done: int, size: int, kind: LayerKind | None) -> int:
        """As many as lie above the percentile where no two scores are equal."""
        return kept_above_percentile(schedule, rounds_done, size, kind)


class Channels(Structure):
    """Whole output channels: those of highest mean score, as many as fit into `keep` weights."""

    def select(self, scores: Mapping[str, Tensor], keep: int, within: Mask) -> dict[str, Tensor]:
        """Channels in the order of their mean score until the next would be one too many; ties by index."""
        means = torch.cat([score.double().flatten(1).mean(1) for score in scores.values()])
        sizes = torch.cat([torch.full((len(score),), score[0].numel()) for score in scores.values()])
        alive = torch.cat([within[layer].flatten(1).any(1) for layer in scores])
        order = torch.where(alive, means, -torch.inf).sort(descending=True, stable=True).indices
        order = order[alive[order]]
        fitting = order[sizes[order].cumsum(0) <= keep]
        chosen = torch.zeros(len(means), dtype=torch.bool)
        chosen[fitting] = True
        parts = torch.split(chosen, [len(score) for score in scores.values()])
        return {
            layer: part.view(-1, *[1] * (score.dim() - 1)).expand(score.shape).clone()
            for (layer, score), part in zip(scores.items(), parts, strict=True)
        }

    def permuted(self, kept: Tensor, source: Generator) -> Tensor:
        """Channels change places."""
        return kept[torch.randperm(len(kept), generator=source)]


class Groups(Structure):
    """N of every M consecutive inputs (dimension 1) of each output and kernel position.

    Inputs beyond the last whole group are one smaller group, of which the same share is kept, rounded up.
    """

    def __init__(self, n: int, m: int) -> None:
        self.n = n
        self.m = m

    def select(self, scores: Mapping[str, Tensor], keep: int, within: Mask) -> dict[str, Tensor]:
        """The highest scores of each group, ties by index; the counts are the structure's own, whatever `keep`."""
        return {layer: self._layer(score, within[layer]) for layer, score in scores.items()}

    def _layer(self, score: Tensor, within: Tensor) -> Tensor:
        live = torch.where(within, score.double().cpu(), -torch.inf)
        kept = torch.zeros(score.shape, dtype=torch.bool)
        for first in range(0, score.shape[1], self.m):
            group = live.narrow(1, first, min(self.m, score.shape[1] - first))
            highest = group.sort(dim=1, descending=True, stable=True).indices.narrow(1, 0, self._of(group.shape[1]))
            kept.narrow(1, first, group.shape[1]).scatter_(1, highest, value=True)
        return kept & within

    def _of(self, inputs: int) -> int:
        return -(-self.n * inputs // self.m)

    def permuted(self, kept: Tensor, source: Generator) -> Tensor:
        """The inputs of each group change places, in each group for itself."""
        moved = kept.clone()
        for first in range(0, kept.shape[1], self.m):
            group = kept.narrow(1, first, min(self.m, kept.shape[1] - first))
            order = torch.rand(group.shape, generator=source, dtype=torch.float64).argsort(dim=1)
            moved.narrow(1, first, group.shape[1]).copy_(group.gather(1, order))
        return moved
