"""What a run offers to a method that scores weights: private networks, and a probe set with its inputs and losses."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from ticketlab.models.entering import input_shape
from ticketlab.models.private_copies import PrivateCopies
from ticketlab.randomness import Key
from ticketlab.run.device import Device, arrange
from ticketlab.run.steps.images import shape_of
from ticketlab.run.steps.prepare import training_of
from ticketlab.run.steps.probe import drawn_probe
from ticketlab.tickets.pruner import Offers
from ticketlab.tickets.worn import Wearing

if TYPE_CHECKING:
    from ticketlab.plan.steps import Draw
    from ticketlab.run.workplace import Workplace
    from ticketlab.tickets.mask import Mask


def offers(step: Draw, place: Workplace, networks: Mapping[str, nn.Module]) -> Offers:
    """What the method's `scores_need` names; writes `probe.safetensors`, the probe set's indices, if it has one."""
    device = arrange(step.taken)
    needs = step.ticket.scores_need
    shapes = {name: input_shape(network, shape_of(step.images)) for name, network in networks.items()}
    if not needs:
        return lambda mask, number: {}
    if not needs & {"inputs", "losses"}:
        copies = _copies(networks, device)
        return lambda mask, number: {"networks": copies.of_round(mask), "shapes": shapes}
    return _with_probe(step, place, networks, device)


def _with_probe(step: Draw, place: Workplace, networks: Mapping[str, nn.Module], device: Device) -> Offers:
    assert step.objective is not None, "the plan gives the objective to a method that needs batches"
    probe = drawn_probe(step, place, device)
    # Scores are derivatives: whatever precision the training has, they are taken in their own.
    device = replace(device, compute=device.compute.model_copy(update={"precision": "fp32"}))
    shown = {name: device.place(copy.deepcopy(network)) for name, network in networks.items()}
    training = training_of(
        objective=step.objective,
        networks=shown,
        wearing=Wearing(shown),
        batches=probe,
        augmenters=probe.augmenters,
        key=Key(step.seed).of("probe"),
        images=step.images,
        place=place,
        device=device,
    )
    copies = _copies(networks, device)

    def offered(mask: Mask, round: int) -> dict[str, Any]:
        first = probe.first_of(round)
        return {
            "networks": copies.of_round(mask),
            "batches": probe.sizes,
            "redrawn": probe.redrawn,
            "inputs": lambda number: training.inputs(first + number),
            "losses": lambda given, number: training.losses(given, first + number),
        }

    return offered


def _copies(networks: Mapping[str, nn.Module], device: Device) -> PrivateCopies:
    """Copies of the networks on the device, in eval mode."""
    return PrivateCopies({name: device.place(copy.deepcopy(network)).eval() for name, network in networks.items()})
