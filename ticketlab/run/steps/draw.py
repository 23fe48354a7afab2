"""Drawing a ticket: scores of the weights and the mask of those that are kept, one round or several in a row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from ticketlab.errors import CorruptFile, Interrupted
from ticketlab.files import sha256_bytes
from ticketlab.models.cost import layer_multiply_adds
from ticketlab.plan.inputs import PRETRAINED
from ticketlab.randomness import Key
from ticketlab.run.device import arrange
from ticketlab.run.steps.images import shape_of
from ticketlab.run.steps.networks import initial_networks, load_networks, trained_weights
from ticketlab.run.steps.offers import offers
from ticketlab.tensors import content_digest
from ticketlab.tickets.facts import TicketFacts
from ticketlab.tickets.file import read as read_ticket
from ticketlab.tickets.file import write as write_ticket
from ticketlab.tickets.layers import FILE as LAYERS
from ticketlab.tickets.layers import Layers
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.masked import masked_weights
from ticketlab.tickets.pruner import Pruner
from ticketlab.training.setup import tensors_of

if TYPE_CHECKING:
    from pathlib import Path

    from ticketlab.plan.steps import Draw, Step
    from ticketlab.run.workplace import Workplace


def perform(asked: Step, place: Workplace) -> None:
    """Write `ticket.safetensors`, the mask after the last round with where it comes from, and `layers.json`."""
    step = cast("Draw", asked)
    given = place.input(PRETRAINED, "weights.safetensors")
    networks = initial_networks(step.model, step.images, step.seed, "init", given)
    about = TicketFacts(step.ticket.name, step.first - 1, step.seed, content_digest(tensors_of(networks)))
    _give_ranked_weights(networks, step, place)
    pruner = Pruner(step.ticket, masked_weights(step.ticket, networks), offers(step, place, networks), Key(step.seed))
    # Rounds are gone on with only in the arithmetic they were begun with.
    so_far = place.folder / f"so-far-{sha256_bytes(arrange(step.taken).arithmetic.encode())[:16]}.safetensors"
    mask, done, layers = _resumed(so_far, place, step.first - 1)
    layers = replace(layers, dense_multiply_adds=layer_multiply_adds(networks, shape_of(step.images)))
    place.going_on(done)
    for number in range(done + 1, step.round + 1):
        if place.stopping():
            raise Interrupted(
                f"stopped before round {number} of {step.round}", mend="the same command goes on from here"
            )
        mask = pruner.tightened(mask or pruner.dense(), number)
        layers = layers.after(mask, number)
        if layers.died_in(number):
            place.collapsed(number, layers.died_in(number))
        place.log(number, _row(mask, layers))
        if number < step.round:
            place.settle()
            layers.write(_layers_of(so_far))
            write_ticket(so_far, mask, replace(about, round=number))
    assert mask is not None, "a draw has at least one round"
    layers.write(place.out / LAYERS)
    write_ticket(place.out / "ticket.safetensors", mask, replace(about, round=step.round))


def _row(mask: Mask, layers: Layers) -> dict[str, float]:
    return {
        "density": float(mask.density),
        "smallest_layer_density": min(layers.densities.values()),
        "collapsed_layers": float(len(layers.collapsed)),
    }


def _resumed(so_far: Path, place: Workplace, before: int) -> tuple[Mask | None, int, Layers]:
    """The mask of the last round that was finished before an interruption, its number, its layers; else the input's."""
    if so_far.exists():
        try:
            mask, facts, _ = read_ticket(so_far)
            # Of a round later than the mask's, where the kill came between the two files: that round comes again.
            noted = Layers.read(_layers_of(so_far))
        except CorruptFile:
            # Nothing is lost but time: rounds are a function of the step's inputs.
            so_far.unlink()
        else:
            return mask, facts.round, noted.after(mask, facts.round)
    path, described = (place.input("mask", name) for name in ("ticket.safetensors", LAYERS))
    if path is None or described is None:
        return None, before, Layers()
    return read_ticket(path)[0], before, Layers.read(described)


def _layers_of(so_far: Path) -> Path:
    """Beside the mask of an unfinished drawing: what is left of its layers."""
    return so_far.with_name(f"layers-{so_far.stem}.json")


def _give_ranked_weights(networks: dict[str, nn.Module], step: Draw, place: Workplace) -> None:
    """Load the training that this round ranks; without one the initial weights are ranked."""
    path = place.input("weights", "weights.safetensors")
    if path is None:
        return
    trained: dict[str, Tensor] = trained_weights(path)
    if step.ticket.rank == "ema":
        averages = {name.removeprefix("ema."): value for name, value in trained.items() if name.startswith("ema.")}
        trained = {**trained, **averages}
    load_networks(networks, trained)
