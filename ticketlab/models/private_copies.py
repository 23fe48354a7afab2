"""Private copies of networks under a mask and in another precision, made in memory that earlier copies leave behind."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


class PrivateCopies:
    """Copies of `networks` in eval mode, for whoever may do anything to parameters, buffers and modes.

    A copy shares no parameter, buffer or module with its network, whatever attribute they are held by. Hooks are part of what a
    network computes, so the copy has them. Fresh memory costs as much as a pass over it and more, so after `begin` new copies take the memory of earlier ones
    whose networks nobody holds any more, the first made first: those copies, and scores that lie in them, are then gone.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self._networks = dict(networks)
        self._rooms: list[_Room] = []

    def begin(self) -> None:
        """From now on earlier copies are needed only as long as somebody holds their networks."""
        for room in self._rooms:
            room.passed = True

    def of_round(self, kept: Mapping[str, Tensor]) -> Callable[..., dict[str, nn.Module]]:
        """`make` under the mask of a round; copies of the rounds before are not needed any more."""
        self.begin()
        return partial(self.make, kept)

    @torch.no_grad()
    def make(self, kept: Mapping[str, Tensor], precision: torch.dtype | None = None) -> dict[str, nn.Module]:
        """A copy of all networks, the weights that `kept` names ("<network>.<parameter>") multiplied by their masks.

        Floating-point tensors are of `precision`, by default their own, and parameters require gradients.
        """
        room = next((room for room in self._rooms if room.passed and not room.held()), None)
        if room is None:
            room = _Room()
            self._rooms.append(room)
        made: dict[int, Any] = {}
        for title, network in self._networks.items():
            for name, tensor in (*network.named_parameters(), *network.named_buffers()):
                made[id(tensor)] = _copied(tensor, kept.get(f"{title}.{name}"), precision, room.tensors)
        twins = {title: _twin(network, made) for title, network in self._networks.items()}
        room.passed, room.networks = False, [weakref.ref(twin) for twin in twins.values()]
        return twins


@dataclass(eq=False)
class _Room:
    """The memory of one copy, by the tensors it is of."""

    tensors: dict[tuple[int, torch.dtype], Tensor] = field(default_factory=dict)
    networks: list[weakref.ref[nn.Module]] = field(default_factory=list)
    passed: bool = False

    def held(self) -> bool:
        """Whether somebody may still look at the copy."""
        return any(network() is not None for network in self.networks)


def _copied(
    tensor: Tensor, kept: Tensor | None, precision: torch.dtype | None, room: dict[tuple[int, torch.dtype], Tensor]
) -> Tensor:
    """One pass over memory: reading, masking, changing precision, writing."""
    dtype = precision if precision is not None and tensor.is_floating_point() else tensor.dtype
    if (id(tensor), dtype) not in room:
        room[id(tensor), dtype] = torch.empty_like(tensor, dtype=dtype, requires_grad=False)
    target = room[id(tensor), dtype].detach()
    if kept is None:
        target.copy_(tensor)
    else:
        torch.mul(tensor.detach(), kept.to(tensor.device), out=target)
    return nn.Parameter(target) if isinstance(tensor, nn.Parameter) and target.is_floating_point() else target


PLAIN = frozenset(vars(nn.Module()))
"""What every module has."""

ATOMIC = (bool, int, float, str, type, type(None))


def _twin(network: nn.Module, made: dict[int, Any]) -> nn.Module:
    """Module objects like those of a network, in eval mode, with what is made already in place of its originals.

    By hand, for a deep copy of all takes longer than a pass over memory; what attributes hold is copied deeply.
    """
    modules = list(network.modules())
    for module in modules:
        made[id(module)] = type(module).__new__(type(module))
    for module in modules:
        made[id(module)].__dict__ = {name: _held(name, value, made) for name, value in vars(module).items()}
    twin: nn.Module = made[id(network)]
    return twin


def _held(name: str, value: Any, made: dict[int, Any]) -> Any:
    if name == "training":
        return False
    if name in ("_parameters", "_buffers", "_modules"):
        return {key: None if one is None else made[id(one)] for key, one in value.items()}
    if name in PLAIN:
        return value.copy() if isinstance(value, dict | set) else value
    if isinstance(value, ATOMIC) or (isinstance(value, Tensor) and id(value) not in made):
        return value
    return copy.deepcopy(value, made)
