"""What the code released with PX calls layers, where a network of the lab is the same under other names: its rules go by them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True)
class ReleasedNames:
    """Whether `bn` is in the released name of batch normalisation, and `fc` in that of the layer the lab calls `fc`.

    A network says so in its attribute `released`. One that the code was not released with says what a rule by kind of layer
    would be: `ReleasedNames(bn=True, fc=False)`.
    """

    bn: bool
    fc: bool


def named_in_release(network: nn.Module, mark: str) -> set[str]:
    """The parameters and buffers whose released names contain `mark`, "bn" or "fc"; their own names, if `released` is not said."""
    said = getattr(network, "released", None)
    state = dict(network.named_parameters()) | dict(network.named_buffers())
    if said is None:
        return {name for name in state if mark in name}
    if mark == "fc":
        return {name for name in state if said.fc and name.startswith("fc.")}
    norms = {path for path, module in network.named_modules() if isinstance(module, _BatchNorm)}
    return {name for name in state if said.bn and name.rpartition(".")[0] in norms}
