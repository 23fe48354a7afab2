"""A stand-in for the file of a ticket that is not at hand: a random half of every layer, for smoke runs only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ticketlab.datasets.synthetic import PREFIX
from ticketlab.files import sha256_file
from ticketlab.models.build import build
from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.run.wanted_file import WEIGHTS, pinned
from ticketlab.tickets.facts import TicketFacts
from ticketlab.tickets.file import write
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.structure import Weights

if TYPE_CHECKING:
    from ticketlab.datasets.shape import ImageShape
    from ticketlab.run.project import Project
    from ticketlab.spec.modelling import ModelChoice
    from ticketlab.spec.transfer import Transferred


def at_hand_or_noise(ticket: Transferred, model: ModelChoice, shape: ImageShape, project: Project) -> Transferred:
    """The ticket, or one whose file masks the model's own layers at random where its own is not on this machine."""
    wanted = pinned(ticket, project.home(WEIGHTS))
    if wanted.at_hand() is not None:
        return ticket
    assert ticket.networks is not None, "the spec was not resolved"
    assert ticket.layers is not None, "the spec was not resolved"
    key = Key(0).of("stand-in", wanted.name)
    weights = prunable(build(model, shape, key), ticket.networks, ticket.layers)
    mask = Mask({name: _half(weight.parameter, key.of(name)) for name, weight in weights.items()})
    # Cells of other models have stand-ins of other layers.
    path = project.lab / WEIGHTS / mask.digest()[:8] / f"{PREFIX}{Path(wanted.name).stem}.safetensors"
    write(path, mask, TicketFacts("random", 1, 0, "0" * 64))
    return ticket.model_copy(update={"file": path.relative_to(project.root).as_posix(), "sha256": sha256_file(path)})


def _half(weight: Tensor, key: Key) -> Tensor:
    kept = (torch.arange(weight.numel()) < -(-weight.numel() // 2)).reshape(weight.shape)
    return Weights().permuted(kept, key.generator())
