"""What the networks of a training or a draw start from, beside their initial values."""

from __future__ import annotations

from collections.abc import Mapping

from ticketlab.plan.fitted import Head
from ticketlab.plan.inputs import PRETRAINED
from ticketlab.plan.steps import Images, Start, Step
from ticketlab.spec.compute import Compute
from ticketlab.spec.modelling import ModelChoice


def plainly(compute: Compute) -> Compute:
    """How every run of a matrix makes its extractors, statistics and heads, so that all have the same ones."""
    return Compute(device=compute.device, threads=compute.threads)


def starting(
    model: ModelChoice,
    images: Images,
    seed: int,
    compute: Compute,
    subset: Mapping[str, Step],
    initial: str = "init",
) -> dict[str, Step]:
    """The input `pretrained` for a model that starts from weights trained elsewhere or with a fitted head; else nothing.

    The head is fitted to the training images, or to those of a `subset`; fresh initial weights have one of their own.
    """
    given: dict[str, Step] = {}
    if model.start is not None and initial == "init":
        given[PRETRAINED] = Start(model=model, channels=images.channels, size=images.size, classes=images.classes)
    if model.fitted is None:
        return given
    head = Head(
        seed=seed,
        images=images,
        model=model,
        head=model.fitted,
        initial=initial,
        compute=plainly(compute),
        inputs={**given, **subset},
    )
    return {PRETRAINED: head}
