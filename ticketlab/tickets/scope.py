"""Which layers share a threshold, and how many weights they keep together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, cast

from ticketlab.errors import TicketlabError
from ticketlab.made import made
from ticketlab.tickets.schedule import kept_after

if TYPE_CHECKING:
    from ticketlab.spec.drawing import Schedule
    from ticketlab.spec.masked import LayerKind
    from ticketlab.spec.scope import ScopeChoice
    from ticketlab.tickets.schedule import Count


@dataclass(frozen=True)
class Layer:
    """What a scope knows of a layer: its kind, the shape of its weight, how many weights it still has."""

    kind: LayerKind
    shape: tuple[int, ...]
    left: int

    @property
    def size(self) -> int:
        """Weights in all."""
        return prod(self.shape)


@dataclass(frozen=True)
class Budget:
    """Layers that share a threshold, and how many of their weights are kept."""

    layers: tuple[str, ...]
    keep: int


def budgets(
    scope: ScopeChoice, layers: Mapping[str, Layer], schedule: Schedule, round: int, count: Count = kept_after
) -> list[Budget]:
    """The budgets of a round, in order of first appearance; together they hold each layer once.

    `count` says how many weights of layers that share a budget the schedule keeps. Layers of different networks share none: a generator and a critic are never ranked against each other. ValueError if
    the scope leaves a layer out, has one twice, or mixes networks.
    """
    found = cast("list[Budget]", made(scope.made_by)(scope, layers, schedule, round, count))
    if sorted(name for budget in found for name in budget.layers) != sorted(layers):
        raise ValueError(f"the budgets of scope `{scope.name}` do not hold every layer once")
    if any(len({network_of(name) for name in budget.layers}) != 1 for budget in found):
        raise ValueError(f"a budget of scope `{scope.name}` mixes networks")
    return found


def network_of(layer: str) -> str:
    """The network that a layer belongs to: `generator` of `generator.block2.c1.weight`."""
    return layer.partition(".")[0]


def of_each_network(layers: Iterable[str]) -> dict[str, list[str]]:
    """The layers of each network that has any, in the order given."""
    apart: dict[str, list[str]] = {}
    for layer in layers:
        apart.setdefault(network_of(layer), []).append(layer)
    return apart


def together(
    options: ScopeChoice, layers: Mapping[str, Layer], schedule: Schedule, round: int, count: Count
) -> list[Budget]:
    """One budget per network, and per kind of layer where the schedule has shares per kind."""
    by_kind = schedule.by_kind is not None
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, layer in layers.items():
        address = (network_of(name), layer.kind) if by_kind else (network_of(name),)
        groups.setdefault(address, []).append(name)
    return [_budget(tuple(names), layers, schedule, round, count) for names in groups.values()]


def apart(
    options: ScopeChoice, layers: Mapping[str, Layer], schedule: Schedule, round: int, count: Count
) -> list[Budget]:
    """One budget for each layer, of the same share."""
    return [_budget((name,), layers, schedule, round, count) for name in layers]


def but_the_first(
    options: ScopeChoice, layers: Mapping[str, Layer], schedule: Schedule, round: int, count: Count
) -> list[Budget]:
    """One budget for each layer, of the same share, but for the first of each network, which is kept whole.

    TicketlabError for a network that has no other layer under the mask: nothing would ever be pruned.
    """
    networks = of_each_network(layers)
    for network, names in networks.items():
        if len(names) == 1:
            raise TicketlabError(
                f"the first layer stays dense, and the {network} has no other under the mask",
                where="ticket.scope",
                mend="scope: layer",
            )
    whole = {names[0] for names in networks.values()}
    return [
        Budget(budget.layers, layers[budget.layers[0]].size) if budget.layers[0] in whole else budget
        for budget in apart(options, layers, schedule, round, count)
    ]


def _budget(
    names: tuple[str, ...], layers: Mapping[str, Layer], schedule: Schedule, round: int, count: Count
) -> Budget:
    kind = layers[names[0]].kind if schedule.by_kind is not None else None
    return Budget(names, count(schedule, round, sum(layers[name].size for name in names), kind))


def by_kernel(
    options: ScopeChoice, layers: Mapping[str, Layer], schedule: Schedule, round: int, count: Count
) -> list[Budget]:
    """One budget for each layer, shares by Erdos-Renyi kernel; together what `together` keeps, as far as it is there."""
    kept: dict[str, int] = {}
    for group in together(options, layers, schedule, round, count):
        members = {name: layers[name] for name in group.layers}
        # Whole channels, or ties, may have left less after the round before than this one asks for.
        kept |= erdos_renyi(members, min(group.keep, sum(layer.left for layer in members.values())))
    return [Budget((name,), kept[name]) for name in layers]


def erdos_renyi(layers: Mapping[str, Layer], keep: int) -> dict[str, int]:
    """How many weights each layer keeps of `keep` in all, its density in proportion to (sum of sides) / (product).

    A layer whose density would pass what it still has keeps all of that, and the others share the rest (Evci et al. 2020,
    arXiv 1911.11134, with the kernel's sides counted). Exact: what rounding leaves goes to the largest remainders, the
    first layer of equal ones. ValueError if the layers have fewer than `keep` left.
    """
    if keep > sum(layer.left for layer in layers.values()):
        raise ValueError(f"cannot keep {keep} of {sum(layer.left for layer in layers.values())} weights")
    full: dict[str, int] = {}
    while True:
        open_layers = {name: layer for name, layer in layers.items() if name not in full}
        rest = keep - sum(full.values())
        weight = sum(sum(layer.shape) for layer in open_layers.values())
        ideal = {name: Fraction(rest * sum(layer.shape), weight) for name, layer in open_layers.items()}
        over = {name: open_layers[name].left for name, share in ideal.items() if share > open_layers[name].left}
        if not over:
            return {**full, **_rounded(ideal, rest, open_layers)}
        full |= over


def _rounded(ideal: Mapping[str, Fraction], total: int, layers: Mapping[str, Layer]) -> dict[str, int]:
    counts = {name: int(share) for name, share in ideal.items()}
    missing = total - sum(counts.values())
    by_remainder = sorted(ideal, key=lambda name: counts[name] - ideal[name])
    able = [name for name in by_remainder if counts[name] < layers[name].left]
    for name in able[:missing]:
        counts[name] += 1
    return counts
