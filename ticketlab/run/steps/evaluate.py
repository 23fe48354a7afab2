"""Measuring a trained network: its metrics, and a grid of its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ticketlab.files import write_atomically, write_listing
from ticketlab.run.device import arrange
from ticketlab.run.steps.measure import measurer
from ticketlab.run.steps.networks import initial_networks, load_networks, trained_weights

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from ticketlab.plan.steps import Evaluate, Measured, Step
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace


def perform(asked: Step, place: Workplace) -> None:
    """Write `metrics.json`, in the order asked, and for generators `samples.png`."""
    step = cast("Evaluate", asked)
    device = arrange(step.compute)
    path = place.input("weights", "weights.safetensors")
    assert path is not None, "a training is evaluated"
    network = trained_network(step, path, device)
    found = measurer(step.measurement, step.images, step.seed, place, device)(network)
    write_listing(place.out / "metrics.json", found.metrics)
    place.log(step.after, found.metrics)
    if found.grid is not None:
        write_atomically(place.out / "samples.png", found.grid)


def trained_network(step: Measured, path: Path, device: Device) -> nn.Module:
    """The network that is measured, from a file of a training's weights or of a snapshot; averaged where there is an average."""
    trained = trained_weights(path)
    averages = {name.removeprefix("ema."): value for name, value in trained.items() if name.startswith("ema.")}
    name = step.model.networks[0]
    network = initial_networks(step.model, step.images, step.seed, "init")[name]
    load_networks({name: network}, {**trained, **averages})
    return device.place(network).eval()
