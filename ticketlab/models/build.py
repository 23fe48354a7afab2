"""From the `model` section of a spec to networks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ticketlab.errors import EnvironmentProblem

if TYPE_CHECKING:
    from torch import nn

    from ticketlab.datasets.shape import ImageShape
    from ticketlab.randomness import Key
    from ticketlab.spec.model import ModelChoice


def build(options: ModelChoice, shape: ImageShape, key: Key) -> dict[str, nn.Module]:
    """The networks of a model for images of `shape`, with initial values addressed by `key`, in the model's order.

    Raises `EnvironmentProblem` if the function named in `options.made_by` is missing or makes other networks than
    promised.
    """
    module, _, function = options.made_by.partition(":")
    where = f"model {type(options).__name__}"
    try:
        make = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise EnvironmentProblem(
            f"{options.made_by} cannot be imported: {error}",
            where=where,
            mend="install or repair the package that provides this model",
        ) from error
    networks: dict[str, nn.Module] = make(options, shape, key)
    if tuple(networks) != options.networks:
        raise EnvironmentProblem(
            f"{options.made_by} makes {', '.join(networks)}, and the model promises {', '.join(options.networks)}",
            where=where,
            mend="correct `networks` or the function in the package that provides this model",
        )
    return networks
