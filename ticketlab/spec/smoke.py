"""A spec made tiny: every step of it, for two training steps on 64 images, to prove it before a night of compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ticketlab.spec.transfer import Transferred

if TYPE_CHECKING:
    from ticketlab.spec.catalog import DatasetFacts
    from ticketlab.spec.spec import Spec

IMAGES = 64
SAMPLES = 16

SIDE = 32
"""Largest images of a smoke run, in pixels, where the model leaves a choice."""


def smoke(spec: Spec, dataset: DatasetFacts) -> Spec:
    """The resolved spec at smoke size: same networks, method and metrics, at most two rounds; numbers without meaning.

    What is measured, is measured on the whole split. Images shrink to 32 pixels where the model takes any size, unless a
    file of the spec's was made at theirs. Seeds are made equal, so that cells that differ in their seed or their share of
    the data alone are done once.
    """
    fewest = [metric.fewest_samples for metric in spec.evaluate.metrics or ()]
    evaluate: dict[str, Any] = {
        "samples": max([min(spec.evaluate.samples, SAMPLES), *fewest]),
        "extractor": spec.evaluate.extractor.tiny(),
    }
    side = spec.data.size
    assert side is not None, "the spec was not resolved"
    if spec.model.sizes is None and spec.data.fit == "resize" and not _made_for_a_size(spec):
        side = min(side, SIDE)
    if spec.evaluate.every is not None:
        evaluate["every"] = 1
    update: dict[str, Any] = {
        "seed": 0,
        "data": spec.data.model_copy(update={"ratio": None, "count": _images(spec, dataset), "size": side}),
        "ticket": spec.ticket.tiny(),
        "train": spec.train.tiny(),
        "evaluate": spec.evaluate.model_copy(update=evaluate),
        "compute": spec.compute.model_copy(update={"log_every": 1}),
    }
    return spec.model_copy(update=update)


def _images(spec: Spec, dataset: DatasetFacts) -> int:
    """How many training images are kept: of classes that are chosen, as many as noise of the whole dataset has of them."""
    if spec.data.classes is not None:
        return 2 * len(spec.data.classes)
    return min(max(IMAGES, dataset.classes), dataset.train)


def _made_for_a_size(spec: Spec) -> bool:
    """Whether a file has the layers of the model as it is: those of some are as large as the images."""
    return isinstance(spec.ticket, Transferred) or (spec.model.start is not None and spec.model.backbone is None)
