"""What the networks of a training or a draw start from, beside their initial values."""

from __future__ import annotations

from ticketlab.plan.inputs import PRETRAINED
from ticketlab.plan.steps import Images, Start, Step
from ticketlab.spec.modelling import ModelChoice


def starting(model: ModelChoice, images: Images) -> dict[str, Step]:
    """The input `pretrained` for a model that starts from weights trained elsewhere; nothing for any other."""
    if model.start is None:
        return {}
    return {PRETRAINED: Start(model=model, channels=images.channels, size=images.size, classes=images.classes)}
