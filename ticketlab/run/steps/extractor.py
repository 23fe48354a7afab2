"""The feature extractor of a step, ready on its device."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ticketlab.files import canonical_json, sha256_bytes
from ticketlab.made import made
from ticketlab.metrics.extractors import FeatureExtractor
from ticketlab.run.steps.images import scaling_of, shape_of
from ticketlab.run.steps.networks import trained_weights
from ticketlab.run.wanted_file import with_files
from ticketlab.training.setup import under

if TYPE_CHECKING:
    from ticketlab.plan.steps import Images
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.evaluate import Extractor


def extractor_of(
    options: Extractor, images: Images, place: Workplace, device: Device, role: str = "extractor"
) -> FeatureExtractor:
    """The feature extractor on the device, with the weights of the input of that role if it is one that is trained."""
    options = with_files(options, place.home)
    build = made(options.made_by)
    shape = shape_of(images)
    path = place.input(role, "weights.safetensors")
    if path is None:
        extractor = cast("FeatureExtractor", build(options, shape))
    else:
        scaling = scaling_of(images, options.scaling, place)
        state = under("classifier", trained_weights(path))
        extractor = cast(
            "FeatureExtractor",
            build(options, shape, state, dataset=_seen(images), scaling=scaling),
        )
    extractor.network.to(device.torch)
    return extractor


def _seen(images: Images) -> str:
    """What an extractor was trained on: extractors of other classes are others, and metrics bear their names."""
    if not images.chosen:
        return images.dataset
    return f"{images.dataset}-{len(images.chosen)}classes-{sha256_bytes(canonical_json(list(images.chosen)))[:8]}"
