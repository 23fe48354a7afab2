"""Training a network under a mask, from where the ticket's rewinding says, resumable at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from ticketlab.files import write_atomically, write_json
from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.run.device import Device, arrange
from ticketlab.run.steps.measure import Measurer, measurer
from ticketlab.run.steps.networks import initial_networks, load_networks, trained_weights
from ticketlab.run.steps.prepare import Data, training_of
from ticketlab.tickets.apply import MaskedWeights
from ticketlab.tickets.file import read as read_ticket
from ticketlab.tickets.mask import Mask
from ticketlab.training import checkpoint
from ticketlab.training.loop import Course, follow
from ticketlab.training.setup import Training

if TYPE_CHECKING:
    from ticketlab.plan.steps import Step, Train
    from ticketlab.run.workplace import Workplace


def perform(asked: Step, place: Workplace) -> None:
    """Write `weights.safetensors` (and `rewind.safetensors` where a later round returns to an early step)."""
    step = cast("Train", asked)
    device = arrange(step.compute)
    networks = initial_networks(step.model, step.images, step.seed, step.initial)
    start = place.input("start", "rewind.safetensors" if step.begin else "weights.safetensors")
    if start is not None:
        load_networks(networks, trained_weights(start))
    for network in networks.values():
        device.place(network)
    data = Data(step.images, step.objective, Key(step.seed).of("data"))
    training = training_of(data, networks, _masks(place, networks), Key(step.seed).of("train"), place, device)
    course = Course(
        begin=step.begin,
        end=step.objective.steps,
        compute=step.compute,
        folder=place.folder,
        keep=step.keep,
        kept=place.out / "rewind.safetensors",
        watch_every=step.watch_every,
        watch=_watch(step, place, device, training),
    )
    follow(training, course, place.log, place.stopping)
    checkpoint.write(place.out / "weights.safetensors", training.weights(), {"steps": step.objective.steps})


def _masks(place: Workplace, networks: Mapping[str, nn.Module]) -> dict[str, MaskedWeights]:
    """The mask, tied to the live weights of each network that it covers."""
    path = place.input("mask", "ticket.safetensors")
    if path is None:
        return {}
    mask, _, _ = read_ticket(path)
    by_network: dict[str, dict[str, Tensor]] = {}
    for layer in mask:
        by_network.setdefault(layer.partition(".")[0], {})[layer] = mask[layer]
    live = {
        layer: weight.parameter for layer, weight in prunable(networks, tuple(networks), ("conv", "linear")).items()
    }
    return {
        name: MaskedWeights({layer: live[layer] for layer in layers}, Mask(layers))
        for name, layers in by_network.items()
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
