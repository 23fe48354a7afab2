"""The family of objectives: what `train` may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ticketlab.spec.moment_matching import MomentMatching
from ticketlab.spec.section import family
from ticketlab.spec.train import CrossEntropy, Hinge, NonSaturating, Objective, PixelCrossEntropy, SquaredError

if TYPE_CHECKING:
    Train = Objective
else:
    Train = family(
        "objectives", "objective", Hinge, NonSaturating, CrossEntropy, SquaredError, PixelCrossEntropy, MomentMatching
    )
