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

    A copy shares no parameter, buffer or module with its network, whatever attribute they are held by. Hooks are part of
    what a network computes, so the copy has them. Fresh memory costs as much as a pass over it and more, so after `begin` new copies take the memory of earlier ones
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
        twins = _twins(self._networks, made)
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


def _twins(networks: Mapping[str, nn.Module], made: Mapping[int, Tensor]) -> dict[str, nn.Module]:
    """Networks in eval mode with the tensors made for them and module objects of their own, in plain lists and hooks too.

    A module that stands in two places becomes two that share tensors: `torch.func.functional_call` leaves one changed.
    """
    places = [place for title, network in networks.items() for place in network.named_modules(None, title, False)]
    twins: dict[str, nn.Module] = {path: object.__new__(type(module)) for path, module in places}
    # What is found in a memo is taken from there.
    memo: dict[int, Any] = {**made}
    for path, module in places:
        memo.setdefault(id(module), twins[path])
    for path, module in places:
        own = {name: _own(value, memo) for name, value in vars(module).items()}
        own["training"] = False
        own["_modules"] = {
            name: None if child is None else twins[f"{path}.{name}"] for name, child in module._modules.items()
        }
        twins[path].__dict__ = own
    return {title: twins[title] for title in networks}


def _own(value: Any, memo: dict[int, Any]) -> Any:
    # What a network has computed and keeps cannot be copied, and need not be.
    if isinstance(value, Tensor) and id(value) not in memo:
        return value
    # The dictionaries of a module are not looked up in the memo: of one in two places each object has its own.
    if not isinstance(value, dict):
        return copy.deepcopy(value, memo)
    own = value.copy()
    for key, item in value.items():
        own[key] = copy.deepcopy(item, memo)
    return own
