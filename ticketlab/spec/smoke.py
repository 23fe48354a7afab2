"""A spec made tiny: every step of it, for two training steps on 64 images, to prove it before a night of compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ticketlab.spec.spec import Spec

IMAGES = 64
SAMPLES = 16


def smoke(spec: Spec, classes: int) -> Spec:
    """The resolved spec at smoke size: same networks, method and metrics, at most two rounds; numbers without meaning.

    Seeds are made equal, so that cells that differ in their seed or their share of the data alone are done once.
    """
    fewest = [metric.fewest_samples for metric in spec.evaluate.metrics or ()]
    evaluate: dict[str, Any] = {
        "samples": max([min(spec.evaluate.samples, SAMPLES), *fewest]),
        "extractor": spec.evaluate.extractor.tiny(),
    }
    if spec.evaluate.every is not None:
        evaluate["every"] = 1
    update: dict[str, Any] = {
        "seed": 0,
        "data": spec.data.model_copy(update={"ratio": None, "count": max(IMAGES, classes)}),
        "ticket": spec.ticket.tiny(),
        "train": spec.train.tiny(),
        "evaluate": spec.evaluate.model_copy(update=evaluate),
        "compute": spec.compute.model_copy(update={"log_every": 1}),
    }
    return spec.model_copy(update=update)
