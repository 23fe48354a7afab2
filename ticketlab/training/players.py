"""A generator and a critic going forward, whole or part by part."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from ticketlab.training.setup import widened
from ticketlab.training.turn import Judged

if TYPE_CHECKING:
    from ticketlab.models.parts import Grows, Judges


Play = Callable[..., Tensor]
"""A generator or a critic, compiled or not.

A generator is given what it draws for itself (`ticketlab.models.entering`); a critic images and, of real images and of
those made by a conditional generator, their labels. One that is not conditional does not look at them.
"""


@dataclass(frozen=True)
class Players:
    """Two networks, their forwards, and which of them goes forward `apart`, so that its parts' outputs can be looked at."""

    generator: nn.Module
    critic: nn.Module
    generate: Play
    judge: Play
    apart: Collection[str] = ()

    def make(self, entering: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
        """Images of what entered the generator, and the grid they were grown from where it goes apart."""
        if "generator" not in self.apart:
            return self.generate(*entering), None
        generator = cast("Grows", self.generator)
        grid = generator.project(*entering)
        return generator.grow(grid, *entering), grid

    def judged(self, images: Tensor, shown: Tensor, *labels: Tensor) -> Judged:
        """What the critic says of images, given them as `shown` and the labels they have, if any."""
        features = None
        if "critic" in self.apart:
            critic = cast("Judges", self.critic)
            features = critic.features(shown)
            scores = critic.head(features, *labels)
        else:
            scores = self.judge(shown, *labels)
        return Judged(images, shown, labels[0] if labels else None, features, widened(scores))
