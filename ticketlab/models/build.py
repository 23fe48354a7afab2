"""From the `model` section of a spec to networks with initial values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from ticketlab.errors import EnvironmentProblem
from ticketlab.made import made
from ticketlab.models.initialise import Scheme, initialise
from ticketlab.models.prunable import layer_kind

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.randomness import Key
    from ticketlab.spec.model import ModelChoice


NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


@dataclass(frozen=True)
class Blueprint:
    """What a model's file says: its networks, by name and in order, and how their layers start in the model's own paper."""

    networks: dict[str, nn.Module]
    scheme: Scheme


def build(options: ModelChoice, shape: ImageShape, key: Key) -> dict[str, nn.Module]:
    """The networks of a model for images of `shape`, with initial values addressed by `key`, in the model's order.

    They start as `options.init` says (convolutions, linear layers, normalisation), else as the model's own paper
    does. Raises `EnvironmentProblem` if the function named in `options.made_by` is missing or makes other networks
    than promised.
    """
    with torch.device("meta"):
        blueprint: Blueprint = made(options.made_by)(options, shape)
    if tuple(blueprint.networks) != options.networks:
        promised = ", ".join(options.networks)
        raise EnvironmentProblem(
            f"{options.made_by} makes {', '.join(blueprint.networks)}, and the model promises {promised}",
            where=f"model {type(options).__name__}",
            mend="correct `networks` or the function in the package that provides this model",
        )
    return initialise(blueprint.networks, _scheme(options, blueprint.scheme), key)


def _scheme(options: ModelChoice, own: Scheme) -> Scheme:
    """The model's own scheme, or the spec's for the layers that initialisers speak of: those of a kind, normalisation."""
    if options.init is None:
        return own
    asked: Scheme = made(options.init.made_by)(options.init)
    return lambda layer: asked(layer) if layer_kind(layer) is not None or isinstance(layer, NORMS) else own(layer)
