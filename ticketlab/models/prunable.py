"""Which weights of a network a ticket is drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from ticketlab.models.spectral import SpectralLayer

if TYPE_CHECKING:
    from ticketlab.spec.masked import LayerKind


@dataclass(frozen=True, eq=False)
class PrunableWeight:
    """A live weight tensor and the kind of layer it belongs to.

    `outputs_first`: whether its first axis is the layer's outputs and its second the inputs, (out, in / groups, ...); of a
    transposed convolution it is (in, out / groups, ...).
    """

    parameter: nn.Parameter
    kind: LayerKind
    outputs_first: bool


def prunable(
    networks: Mapping[str, nn.Module], names: Sequence[str], layers: Sequence[LayerKind]
) -> dict[str, PrunableWeight]:
    """The weights of all layers of the kinds asked for, in the networks named, in the order of `networks` and modules.

    Keyed "<network>.<parameter name>". A spectrally normalised layer gives its raw weight, `weight_orig`; a weight that
    layers share is listed once, under its first name. Biases and normalisation are never prunable. KeyError for a
    network that is not there.
    """
    found: dict[str, PrunableWeight] = {}
    seen: set[int] = set()
    unknown = [name for name in names if name not in networks]
    if unknown:
        raise KeyError(", ".join(unknown))
    for title, network in networks.items():
        for path, layer in network.named_modules() if title in names else ():
            kind = layer_kind(layer)
            if kind is None or kind not in layers:
                continue
            name, parameter = raw_weight(layer)
            if id(parameter) not in seen:
                seen.add(id(parameter))
                outputs_first = not isinstance(layer, nn.modules.conv._ConvTransposeNd)
                found[".".join(filter(None, (title, path, name)))] = PrunableWeight(parameter, kind, outputs_first)
    return found


def last_layers(networks: Mapping[str, nn.Module]) -> set[str]:
    """The weight of the last layer of each network, in the order of its modules: the layer that gives its outputs."""
    every = prunable(networks, tuple(networks), ("conv", "linear"))
    return set({name.partition(".")[0]: name for name in every}.values())


def last_layer(network: nn.Module) -> tuple[str, nn.Module]:
    """The path and the module of the last convolution or linear layer of a network, which gives its outputs."""
    return [(path, layer) for path, layer in network.named_modules() if layer_kind(layer) is not None][-1]


def layer_kind(layer: nn.Module) -> LayerKind | None:
    """`conv` for convolutions and transposed convolutions, `linear` for linear layers, else None."""
    if isinstance(layer, nn.modules.conv._ConvNd):
        return "conv"
    return "linear" if isinstance(layer, nn.Linear) else None


def raw_weight(layer: nn.Module) -> tuple[str, nn.Parameter]:
    """Name within the layer, and parameter, of the weight that is trained."""
    name = "weight_orig" if isinstance(layer, SpectralLayer) else "weight"
    return name, layer.get_parameter(name)
