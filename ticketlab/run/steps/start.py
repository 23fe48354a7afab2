"""Reading the weights that networks start from: a file of somebody else's becomes tensors under the network's own names."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ticketlab.datasets.shape import ImageShape
from ticketlab.files import write_json
from ticketlab.made import made
from ticketlab.models.build import build
from ticketlab.models.pretrained import ORIGINS, load
from ticketlab.models.weights_file import read
from ticketlab.randomness import Key
from ticketlab.run.wanted_file import WEIGHTS, WantedFile
from ticketlab.training import checkpoint

if TYPE_CHECKING:
    from ticketlab.plan.steps import Start, Step
    from ticketlab.run.workplace import Workplace


def perform(asked: Step, place: Workplace) -> None:
    """Write `weights.safetensors`, the tensors that are taken over, and `start.json`: which, which not, from what."""
    step = cast("Start", asked)
    start, backbone = step.model.start, step.model.backbone
    assert start is not None, "a start is planned for a model that has one"
    assert backbone is not None, "the spec was not resolved"
    described: WantedFile = made(start.made_by)(start, step.model, place.home(WEIGHTS))
    path, digest = described.checked()
    networks = build(step.model, ImageShape(step.channels, step.size, step.classes), Key(0))
    network, _, part = backbone.partition(".")
    trunk = networks[network].get_submodule(part)
    taken = load(ORIGINS[start.names], read(path), trunk, str(path))
    within = f"{backbone}."
    tensors = trunk.state_dict()
    checkpoint.write(
        place.out / "weights.safetensors",
        {within + name: tensors[name] for name in taken.given},
        {"sha256": digest, "names": start.names},
    )
    given = {within + name for name in taken.given}
    every = [f"{name}.{tensor}" for name, one in networks.items() for tensor in one.state_dict()]
    write_json(
        place.out / "start.json",
        {
            "file": path.name,
            "sha256": digest,
            "url": described.url,
            "names": start.names,
            "given": [name for name in every if name in given],
            "initial": [name for name in every if name not in given],
        },
    )
    place.log(0, {"tensors_given": float(len(given)), "tensors_initial": float(len(every) - len(given))})
