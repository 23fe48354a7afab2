"""What a plan will cost: sizes, multiply-adds, memory, and a time measured on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from ticketlab.datasets.expected import UNKNOWN
from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.cost import NetworkCost, cost
from ticketlab.plan.steps import Images, Start, Train
from ticketlab.randomness import Key
from ticketlab.run.experiment import Experiment
from ticketlab.run.missing import all_missing
from ticketlab.run.store import Result
from ticketlab.spec.model import ModelChoice

BYTES = 4
PROBE_CHANNELS = 64
PROBE_SIDE = 32
PROBE_BATCH = 16


@dataclass(frozen=True)
class PlannedStep:
    """One step: what it is, where it stands, and (trainings) its multiply-adds.

    The digest is empty where that of the dataset is not known, since the dataset is not there.
    """

    title: str
    arm: str
    digest: str
    cached: bool
    steps: int | None = None
    multiply_adds: int = 0
    seconds: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Estimate:
    """A plan with its cost. `seconds` are for what is not cached, at the convolution speed measured just now.

    `missing` is what a run would refuse to begin without, each with how to get it.
    """

    name: str
    networks: dict[str, NetworkCost]
    steps: tuple[PlannedStep, ...]
    memory: int
    seconds: float
    speed: float = field(metadata={"unit": "multiply-adds per second"})
    missing: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def estimate(experiment: Experiment) -> Estimate:
    """Sizes, multiply-adds, memory (bytes of weights, gradients, two moments) and time of an experiment's plan."""
    speed = convolution_speed()
    first = next(experiment.plan.arms()).cell
    networks = _cost_of(first.spec.model, next(iter(_trainings(experiment))).images)
    steps = []
    for address, step in experiment.plan.steps():
        work = training_multiply_adds(step) if isinstance(step, Train) else 0
        cached = experiment.store.has(step)
        length = step.objective.steps - step.begin if isinstance(step, Train) else None
        steps.append(
            PlannedStep(
                title=step.title,
                arm=address.name,
                digest="" if UNKNOWN in address.cell.files.values() else step.digest,
                cached=cached,
                steps=length,
                multiply_adds=work,
                seconds=work / speed if work else None,
                note=_taken_over(experiment.store.result(step)) if cached and isinstance(step, Start) else "",
            )
        )
    return Estimate(
        name=experiment.plan.name,
        networks=networks,
        steps=tuple(steps),
        memory=sum(one.parameters for one in networks.values()) * BYTES * 4,
        seconds=sum(step.seconds or 0.0 for step in steps if not step.cached),
        speed=speed,
        missing=tuple(str(problem) for problem in all_missing(experiment.project, experiment.pending())),
    )


def _taken_over(started: Result) -> str:
    """What a finished start took from its file, and what it left as initialised."""
    found = json.loads(started.path("start.json").read_bytes())
    left = found["initial"]
    some = ", ".join(left[:3]) + (", ..." if len(left) > 3 else "")
    return f"{len(found['given'])} tensors of {found['file']}; initial values: {some or 'none'}"


def training_multiply_adds(step: Train) -> int:
    """Multiply-adds of a training: a backward pass counts as two forwards."""
    networks = _cost_of(step.model, step.images)
    worked = step.objective.forwards(tuple(networks))
    return (step.objective.steps - step.begin) * sum(
        images * networks[name].multiply_adds for name, images in worked.items()
    )


def convolution_speed() -> float:
    """Multiply-adds per second of a 3x3 convolution and its gradients here and now (median of three)."""
    image = torch.zeros(PROBE_BATCH, PROBE_CHANNELS, PROBE_SIDE, PROBE_SIDE).contiguous(
        memory_format=torch.channels_last
    )
    layer = torch.nn.Conv2d(PROBE_CHANNELS, PROBE_CHANNELS, 3, padding=1).to(memory_format=torch.channels_last)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        layer(image).sum().backward()
        times.append(time.perf_counter() - started)
    work = 2 * PROBE_BATCH * PROBE_SIDE**2 * PROBE_CHANNELS**2 * 9
    # Small layers, normalisation and the optimiser take about as long again as the convolutions.
    return work / sorted(times[1:])[1] / 2


def _trainings(experiment: Experiment) -> Iterator[Train]:
    for address in experiment.plan.arms():
        yield address.plan.final.train


def _cost_of(model: ModelChoice, images: Images) -> dict[str, NetworkCost]:
    shape = ImageShape(images.channels, images.size, images.classes)
    with torch.device("meta"):
        return cost(build(model, shape, Key(0)), shape)
