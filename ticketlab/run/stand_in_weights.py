"""Stand-ins for files of weights that are not at hand: noise in their layout, for smoke runs only."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ticketlab.datasets.synthetic import PREFIX
from ticketlab.files import sha256_bytes, write_atomically
from ticketlab.made import made
from ticketlab.models.build import build
from ticketlab.models.pretrained import HEAD, ORIGINS
from ticketlab.models.prunable import last_layers
from ticketlab.randomness import Key
from ticketlab.run.stand_in_ticket import at_hand_or_noise
from ticketlab.run.wanted_file import WEIGHTS, WantedFile, pinned
from ticketlab.run.within import replaced
from ticketlab.spec.modelling import ModelChoice
from ticketlab.spec.pinned_file import PinnedFile
from ticketlab.spec.start import StateDictFile
from ticketlab.spec.transfer import Transferred
from ticketlab.training import checkpoint
from ticketlab.training.setup import tensors_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from ticketlab.datasets.shape import ImageShape
    from ticketlab.run.project import Project
    from ticketlab.spec.spec import Spec


def with_stand_ins(spec: Spec, shape: ImageShape, project: Project) -> Spec:
    """The spec with a stand-in for every file in it that is not on this machine."""
    spec = replaced(spec, ModelChoice, lambda model: on_hand_or_noise(model, shape, project))
    if isinstance(spec.ticket, Transferred):
        spec = spec.model_copy(update={"ticket": at_hand_or_noise(spec.ticket, spec.model, shape, project)})
    return replaced(spec, PinnedFile, lambda file: _file_or_noise(file, project))


def _file_or_noise(file: PinnedFile, project: Project) -> PinnedFile:
    wanted = pinned(file, project.home(WEIGHTS))
    if wanted.at_hand() is not None:
        return file
    path = project.lab / WEIGHTS / f"{PREFIX}{Path(wanted.name).stem}.safetensors"
    return file.model_copy(update={"file": str(path), "sha256": _written(file, path)})


@cache
def _written(file: PinnedFile, path: Path) -> str:
    """The sha256 of a file of noise, written once for all cells."""
    content = checkpoint.encode(made(file.noise_by)(file), {"stands in for": file.file})
    write_atomically(path, content)
    return sha256_bytes(content)


def on_hand_or_noise(model: ModelChoice, shape: ImageShape, project: Project) -> ModelChoice:
    """The model, starting from a stand-in where the file it starts from is not on this machine.

    A stand-in has the names that such a file has, initial values of another seed, and no head. It is read, checked and
    mapped like the file itself, so a smoke run proves all of the start but the file.
    """
    if model.start is None:
        return model
    wanted: WantedFile = made(model.start.made_by)(model.start, model, project.home(WEIGHTS))
    if wanted.at_hand() is not None:
        return model
    return model.model_copy(update={"start": _stand_in(model, shape, wanted.name, project.lab / WEIGHTS)})


@cache
def _stand_in(model: ModelChoice, shape: ImageShape, wanted: str, folder: Path) -> StateDictFile:
    """A file of noise, written once for all cells."""
    assert model.start is not None, "there is something to stand in for"
    networks = build(model, shape, Key(0).of("stand-in", wanted))
    content = checkpoint.encode(_noise(model, model.start.names, networks), {"stands in for": wanted})
    # Cells of other models have stand-ins of other layers.
    path = folder / sha256_bytes(content)[:8] / f"{PREFIX}{Path(wanted).stem}.safetensors"
    write_atomically(path, content)
    return StateDictFile(file=str(path), sha256=sha256_bytes(content), names=model.start.names)


def _noise(model: ModelChoice, names: str, networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The tensors of the model's backbone, or of all its networks where it has none, as a file names them; no heads."""
    if model.backbone is None:
        heads = tuple(f"{layer.rpartition('.')[0]}." for layer in last_layers(networks))
        return {name: value for name, value in tensors_of(networks).items() if not name.startswith(heads)}
    network, _, part = model.backbone.partition(".")
    trunk, origin = networks[network].get_submodule(part), ORIGINS[names]
    missing = (*origin.random, HEAD)
    return {origin.prefix + name: value for name, value in trunk.state_dict().items() if not name.startswith(missing)}
