"""Reading the weights that networks start from: a file of somebody else's becomes tensors under the network's own names."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ticketlab.datasets.shape import ImageShape
from ticketlab.files import write_json
from ticketlab.made import made
from ticketlab.models.build import build
from ticketlab.models.own_weights import are_own, load_own
from ticketlab.models.pretrained import ORIGINS, TICKETLAB, load
from ticketlab.models.weights_file import read
from ticketlab.randomness import Key
from ticketlab.run.wanted_file import WEIGHTS, WantedFile
from ticketlab.training import checkpoint
from ticketlab.training.setup import tensors_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from ticketlab.plan.steps import Start, Step
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.modelling import ModelChoice


def perform(asked: Step, place: Workplace) -> None:
    """Write `weights.safetensors`, the tensors that are taken over, and `start.json`: which, which not, from what."""
    step = cast("Start", asked)
    start = step.model.start
    assert start is not None, "a start is planned for a model that has one"
    described: WantedFile = made(start.made_by)(start, step.model, place.home(WEIGHTS))
    path, digest = described.checked()
    networks = build(step.model, ImageShape(step.channels, step.size, step.classes), Key(0))
    given = _given(step.model, read(path), networks, str(path))
    tensors = tensors_of(networks)
    checkpoint.write(
        place.out / "weights.safetensors",
        {name: tensors[name] for name in tensors if name in given},
        {"sha256": digest, "names": start.names},
    )
    write_json(
        place.out / "start.json",
        {
            "file": path.name,
            "sha256": digest,
            "url": described.url,
            "names": start.names,
            "given": [name for name in tensors if name in given],
            "initial": [name for name in tensors if name not in given],
        },
    )
    place.log(0, {"tensors_given": float(len(given)), "tensors_initial": float(len(tensors) - len(given))})


def _given(model: ModelChoice, found: Mapping[str, Tensor], networks: Mapping[str, nn.Module], where: str) -> set[str]:
    """Load a file into all networks, where it is of the same model, else into the backbone; the names that were given."""
    assert model.start is not None, "a start is planned for a model that has one"
    origin, backbone = ORIGINS[model.start.names], model.backbone
    if origin == TICKETLAB and (backbone is None or are_own(found, networks)):
        return load_own(found, networks, where)
    assert backbone is not None, "the spec was not resolved"
    network, _, part = backbone.partition(".")
    trunk = networks[network].get_submodule(part)
    return {f"{backbone}.{name}" for name in load(origin, found, trunk, where).given}
