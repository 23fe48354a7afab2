"""Measuring one network, on the way or at the end, by the measurer of its task."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from torch import nn

from ticketlab.errors import Diverged, StepFailed
from ticketlab.made import made

if TYPE_CHECKING:
    from ticketlab.plan.steps import Images, Measurement
    from ticketlab.run.device import Device
    from ticketlab.run.workplace import Workplace


@dataclass(frozen=True)
class Found:
    """Metrics by name, and for generators a grid of samples as a PNG."""

    metrics: Mapping[str, float]
    grid: bytes | None = None


Measurer = Callable[[nn.Module], Found]


def values(measurement: Measurement, evidence: object) -> dict[str, float]:
    """What every metric asked for makes of its task's evidence, in the order asked. StepFailed if two give one key."""
    found: dict[str, float] = {}
    for metric in measurement.metrics:
        made_of_it = made(metric.made_by)(metric, evidence)
        twice = sorted(found.keys() & made_of_it.keys())
        if twice:
            raise StepFailed(
                f"`{metric.name}` gives {', '.join(twice)}, as another metric does", mend="ask for one of them"
            )
        found.update(made_of_it)
    return found


def measurer(measurement: Measurement, images: Images, seed: int, place: Workplace, device: Device) -> Measurer:
    """What measures a network as `measurement` asks; references are read once, here. Diverged for what is not finite."""
    measure = cast("Measurer", made(measurement.made_by)(measurement, images, seed, place, device))

    def checked(network: nn.Module) -> Found:
        found = measure(network)
        broken = [name for name, value in found.metrics.items() if not math.isfinite(value)]
        if broken:
            raise Diverged(f"not finite: {', '.join(broken)}", mend="look at the samples and the losses before it")
        return found

    return checked
