"""From the name of a function in a spec's options ("package.module:function") to the function."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

from ticketlab.errors import EnvironmentProblem


def made(made_by: str) -> Callable[..., Any]:
    """The function that a choice of the spec is made by. Raises `EnvironmentProblem` if it cannot be imported."""
    module, _, name = made_by.partition(":")
    try:
        return cast("Callable[..., Any]", getattr(import_module(module), name))
    except (ImportError, AttributeError) as problem:
        raise EnvironmentProblem(
            f"{made_by} cannot be imported: {problem}",
            where=made_by,
            mend="install or repair the package that registers it, or name another choice",
        ) from problem
