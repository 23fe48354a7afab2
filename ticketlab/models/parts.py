"""Networks that can be taken apart: a generator into project and grow, a critic into features and head.

A model whose networks have parts names them in its options (`ModelChoice.parts`, "critic.features"); what works on parts
names those it needs, and is refused for other models when the spec is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Grows(Protocol):
    """A generator in two parts: generator(*entering) is generator.grow(generator.project(*entering), *entering)."""

    @property
    def project(self) -> Callable[..., Tensor]:
        """(*entering) -> the first features that noise is made into, before any normalisation (B, ...)."""
        ...

    @property
    def grow(self) -> Callable[..., Tensor]:
        """(what `project` returned, *entering) -> images (B, C, S, S)."""
        ...


@runtime_checkable
class Judges(Protocol):
    """A critic in two parts: critic(images, labels) is critic.head(critic.features(images), labels)."""

    @property
    def features(self) -> Callable[..., Tensor]:
        """(images) -> features (B, D)."""
        ...

    @property
    def head(self) -> Callable[..., Tensor]:
        """(features, labels or None) -> scores (B, 1)."""
        ...
