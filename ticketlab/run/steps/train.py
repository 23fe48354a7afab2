"""Training a network under a mask, from where the ticket's rewinding says, resumable at every step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from ticketlab.files import write_atomically
from ticketlab.made import made
from ticketlab.models.changed_weight import settle
from ticketlab.models.cost import layer_multiply_adds
from ticketlab.models.prunable import prunable
from ticketlab.plan.inputs import PRETRAINED, REWOUND
from ticketlab.plan.steps import snapshot_file
from ticketlab.randomness import Key
from ticketlab.run.device import Device, arrange
from ticketlab.run.steps.images import shape_of
from ticketlab.run.steps.measure import Measurer, measurer
from ticketlab.run.steps.networks import initial_networks, load_networks, trained_weights
from ticketlab.run.steps.prepare import training_images, training_of
from ticketlab.tensors import content_digest
from ticketlab.tickets.facts import TicketFacts
from ticketlab.tickets.file import read as read_ticket
from ticketlab.tickets.file import write as write_ticket
from ticketlab.tickets.layers import FILE as LAYERS
from ticketlab.tickets.layers import IN_TRAINING, Layers
from ticketlab.tickets.masked import masked_weights
from ticketlab.tickets.worn import Fixed, Still, Wearing
from ticketlab.training import checkpoint
from ticketlab.training.loop import Course, follow
from ticketlab.training.setup import Training, named, tensors_of

if TYPE_CHECKING:
    from ticketlab.augment.augmenter import Augmenter
    from ticketlab.datasets.image_set import Stream
    from ticketlab.plan.steps import Measurement, Step, Train
    from ticketlab.run.workplace import Workplace
    from ticketlab.spec.evolving import Evolving


def perform(asked: Step, place: Workplace) -> None:
    """Write `weights.safetensors` (and `rewind.safetensors` where a later round returns to an early step)."""
    step = cast("Train", asked)
    device = arrange(step.compute)
    given = place.input(PRETRAINED, "weights.safetensors")
    networks = initial_networks(step.model, step.images, step.seed, step.initial, given)
    rewound = place.input(REWOUND, "rewind.safetensors" if step.begin else "weights.safetensors")
    if rewound is not None:
        load_networks(networks, trained_weights(rewound))
    initial = content_digest(tensors_of(networks))
    for network in networks.values():
        device.place(network)
    train = training_images(step.images, place, device)
    augmenters = [made(options.made_by)(options) for options in step.objective.augment]
    with train.stream(step.objective.batch, Key(step.seed).of("data"), augmenters) as (batches, left):
        _trained(step, place, device, networks, batches, left, initial)


def _trained(
    step: Train,
    place: Workplace,
    device: Device,
    networks: dict[str, nn.Module],
    batches: Stream,
    augmenters: Sequence[Augmenter],
    initial: str,
) -> None:
    """Train the networks to the end, and write what they have become; `initial` is the digest of what they were."""
    costs = layer_multiply_adds(networks, shape_of(step.images)) if step.evolving is not None else {}
    wearing = _wearing(step, place, networks)
    training = training_of(
        objective=step.objective,
        networks=networks,
        wearing=wearing,
        batches=batches,
        augmenters=augmenters,
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
        arithmetic=device.arithmetic,
        keep=step.keep,
        kept=place.out / "rewind.safetensors",
        watch_every=step.snapshots,
        watch=_watch(step, place, device, training),
        going_on=place.going_on,
        settle=place.settle,
    )
    follow(training, wearing, course, place.log, place.stopping)
    wearing.finish(training.trained())
    checkpoint.write(place.out / "weights.safetensors", tensors_of(training.trained()), {"steps": step.objective.steps})
    if step.evolving is not None:
        mask = wearing.mask()
        assert mask is not None, "a ticket that a training makes has a mask"
        layers = Layers(dense_multiply_adds=costs).after(mask, IN_TRAINING)
        if layers.collapsed:
            place.collapsed(IN_TRAINING, tuple(layers.collapsed))
        layers.write(place.out / LAYERS)
        about = TicketFacts(step.evolving.name, 0, step.seed, initial)
        write_ticket(place.out / "ticket.safetensors", mask, about, _running_statistics(networks))


def _wearing(step: Train, place: Workplace, networks: Mapping[str, nn.Module]) -> Wearing:
    """How the networks wear the ticket: one that this training makes, the one given, or none."""
    if step.evolving is not None:
        return _evolving(step.evolving, networks, step)
    path = place.input("mask", "ticket.safetensors")
    if path is None:
        return Wearing(networks)
    mask = read_ticket(path)[0]
    live = prunable(networks, tuple(networks), ("conv", "linear"))
    way = Still if step.still else Fixed
    worn = {
        name: way(network, {layer: live[layer].parameter for layer in own}, own)
        for name, network in networks.items()
        if (own := mask.of_network(name)) is not None
    }
    return Wearing(networks, worn)


def _evolving(options: Evolving, networks: Mapping[str, nn.Module], step: Train) -> Wearing:
    weights, key = masked_weights(options, networks), Key(step.seed).of("ticket")
    return cast("Wearing", made(options.made_by)(options, networks, weights, step.objective.steps, key))


def _running_statistics(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The buffers of all networks: they belong to a ticket whose weights were never trained."""
    return {
        key: value for name, network in networks.items() for key, value in named(name, network.named_buffers()).items()
    }


def _watch(
    step: Train, place: Workplace, device: Device, training: Training
) -> Callable[[int], Mapping[str, float]] | None:
    """What is done every `snapshots` steps: measuring, for a ticket that hears of it, or leaving a snapshot to measure."""
    if step.heard is not None:
        return _measuring(step, step.heard, place, device, training)

    def snapshot(number: int) -> Mapping[str, float]:
        network = copy.deepcopy(training.evaluated())
        settle(network)
        path = place.out / snapshot_file(number)
        checkpoint.write(path, tensors_of({step.model.networks[0]: network}), {"step": number})
        place.snapshot(number)
        return {}

    return None if step.snapshots is None else snapshot


def _measuring(
    step: Train, measurement: Measurement, place: Workplace, device: Device, training: Training
) -> Callable[[int], Mapping[str, float]]:
    measure: Measurer = measurer(measurement, step.images, step.seed, place, device)

    def measured(number: int) -> Mapping[str, float]:
        found = measure(training.evaluated())
        if found.grid is not None:
            write_atomically(place.out / f"samples-{number:07d}.png", found.grid)
        return found.metrics

    return measured
