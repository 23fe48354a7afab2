"""From the `model` section of a spec to networks with initial values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ticketlab.errors import EnvironmentProblem
from ticketlab.made import made
from ticketlab.models.initialise import Scheme, initialise

if TYPE_CHECKING:
    from torch import nn

    from ticketlab.datasets.shape import ImageShape
    from ticketlab.randomness import Key
    from ticketlab.spec.model import ModelChoice


@dataclass(frozen=True)
class Blueprint:
    """What a model's file says: its networks, by name and in order, and how their layers start in the model's own paper."""

    networks: dict[str, nn.Module]
    scheme: Scheme


def build(options: ModelChoice, shape: ImageShape, key: Key) -> dict[str, nn.Module]:
    """The networks of a model for images of `shape`, with initial values addressed by `key`, in the model's order.

    They start as `options.init` says, else as the model's own paper does. Raises `EnvironmentProblem` if the function
    named in `options.made_by` is missing or makes other networks than promised.
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
    scheme = blueprint.scheme if options.init is None else made(options.init.made_by)(options.init)
    return initialise(blueprint.networks, scheme, key)
