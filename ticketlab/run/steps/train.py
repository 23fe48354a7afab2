"""Training a network under a mask, from where the ticket's rewinding says, resumable at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from ticketlab.datasets.batches import Batches
from ticketlab.files import write_atomically, write_json
from ticketlab.made import made
from ticketlab.models.prunable import PrunableWeight, prunable
from ticketlab.randomness import Key
from ticketlab.run.device import Device, arrange
from ticketlab.run.steps.measure import Measurer, measurer
from ticketlab.run.steps.networks import initial_networks, load_networks, tensors_of, trained_weights
from ticketlab.run.steps.prepare import training_images, training_of
from ticketlab.tickets.facts import TicketFacts
from ticketlab.tickets.file import read as read_ticket
from ticketlab.tickets.file import write as write_ticket
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.worn import Bare, Fixed, Still
from ticketlab.training import checkpoint
from ticketlab.training.checkpoint import content_digest
from ticketlab.training.loop import Course, follow
from ticketlab.training.setup import Training, named

if TYPE_CHECKING:
    from ticketlab.plan.steps import Step, Train
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.drawing import Evolving


def perform(asked: Step, place: Workplace) -> None:
    """Write `weights.safetensors` (and `rewind.safetensors` where a later round returns to an early step)."""
    step = cast("Train", asked)
    device = arrange(step.compute)
    given = place.input("initial", "weights.safetensors")
    networks = initial_networks(step.model, step.images, step.seed, step.initial, given)
    start = place.input("start", "rewind.safetensors" if step.begin else "weights.safetensors")
    if start is not None:
        load_networks(networks, trained_weights(start))
    initial = content_digest(tensors_of(networks))
    for network in networks.values():
        device.place(network)
    pixels, labels = training_images(step.images, place, device)
    worn = _worn(step, place, networks)
    training = training_of(
        objective=step.objective,
        networks=networks,
        worn=worn,
        batches=Batches(pixels, labels, step.objective.batch, Key(step.seed).of("data")),
        key=Key(step.seed).of("train"),
        images=step.images,
        place=place,
        device=device,
    )
    course = Course(
        begin=step.begin,
        end=step.objective.steps,
        compute=step.compute,
        folder=place.folder,
        device=device.torch.type,
        keep=step.keep,
        kept=place.out / "rewind.safetensors",
        watch_every=step.watch_every,
        watch=_watch(step, place, device, training),
    )
    follow(training, course, place.log, place.stopping)
    checkpoint.write(place.out / "weights.safetensors", training.weights(), {"steps": step.objective.steps})
    if step.evolving is not None:
        about = TicketFacts(step.evolving.name, 0, step.seed, initial)
        write_ticket(place.out / "ticket.safetensors", _mask_of(worn), about, _running_statistics(networks))


def _worn(step: Train, place: Workplace, networks: Mapping[str, nn.Module]) -> dict[str, Bare]:
    """How each network wears its mask: the one it makes itself, the one given, or none."""
    if step.evolving is not None:
        return {name: _evolving(step.evolving, name, networks, step.seed) for name in networks}
    path = place.input("mask", "ticket.safetensors")
    if path is None:
        return {name: Bare(network) for name, network in networks.items()}
    mask = read_ticket(path)[0]
    live = prunable(networks, tuple(networks), ("conv", "linear"))
    way = Still if step.still else Fixed
    return {name: _masked(way, network, mask.of_network(name), live) for name, network in networks.items()}


def _evolving(options: Evolving, name: str, networks: Mapping[str, nn.Module], seed: int) -> Bare:
    assert options.networks is not None, "the spec was not resolved"
    assert options.layers is not None, "the spec was not resolved"
    if name not in options.networks:
        return Bare(networks[name])
    layers = {layer: weight.parameter for layer, weight in prunable(networks, (name,), options.layers).items()}
    return cast("Bare", made(options.made_by)(options, networks[name], layers, Key(seed).of("ticket", name)))


def _masked(way: type[Fixed], network: nn.Module, mask: Mask | None, live: Mapping[str, PrunableWeight]) -> Bare:
    if mask is None:
        return Bare(network)
    return way(network, {layer: live[layer].parameter for layer in mask}, mask)


def _mask_of(worn: Mapping[str, Bare]) -> Mask:
    """One mask over all networks that wear one."""
    masks = [mask for bare in worn.values() if (mask := bare.mask()) is not None]
    return Mask({layer: mask[layer] for mask in masks for layer in mask})


def _running_statistics(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The buffers of all networks: they belong to a ticket whose weights were never trained."""
    return {
        key: value for name, network in networks.items() for key, value in named(name, network.named_buffers()).items()
    }


def _watch(
    step: Train, place: Workplace, device: Device, training: Training
) -> Callable[[int], Mapping[str, float]] | None:
    if step.watch is None:
        return None
    measure: Measurer = measurer(step.watch, step.images, step.seed, place, device)

    def watch(number: int) -> Mapping[str, float]:
        found = measure(training.evaluated())
        if found.grid is not None:
            write_atomically(place.out / f"samples-{number:07d}.png", found.grid)
        write_json(place.out / f"watch-{number:07d}.json", found.metrics)
        return found.metrics

    return watch
