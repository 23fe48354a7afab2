"""What a plan will cost: sizes, multiply-adds, memory, and a time measured on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ticketlab.datasets.expected import UNKNOWN
from ticketlab.errors import EnvironmentProblem
from ticketlab.models.cost import NetworkCost
from ticketlab.plan.steps import Start, Train
from ticketlab.run.device import chosen
from ticketlab.run.experiment import Experiment
from ticketlab.run.missing import all_missing
from ticketlab.run.store import Result
from ticketlab.run.work import cost_of, multiply_adds
from ticketlab.spec.catalog import facts

BYTES = 4
PROBE_CHANNELS = 64
PROBE_SIDE = 32
PROBE_BATCH = {"cpu": 16, "cuda": 512, "mps": 128}


@dataclass(frozen=True)
class PlannedStep:
    """One step: what it is, where it stands, its multiply-adds (see `ticketlab.run.work`).

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
    """A plan with its cost. `seconds` are for what is not cached, at the convolution speed measured just now on `device`.

    That is the one the spec asks for, or the CPU where this machine has no such device. `missing` is what a run would
    refuse to begin without, each with how to get it. `speed` is in multiply-adds per second.
    """

    name: str
    networks: dict[str, NetworkCost]
    steps: tuple[PlannedStep, ...]
    memory: int
    seconds: float
    speed: float
    device: str
    missing: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def estimate(experiment: Experiment) -> Estimate:
    """Sizes, multiply-adds, memory (bytes of weights, gradients, two moments) and time of an experiment's plan."""
    first = next(experiment.plan.arms()).cell
    device = _device_of(first.spec.compute.device)
    speed = convolution_speed(device)
    networks = cost_of(first.spec.model, next(iter(_trainings(experiment))).images)
    steps = []
    for address, step in experiment.plan.steps():
        work = multiply_adds(step, facts(address.cell.spec.data.dataset, experiment.project.root))
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
        device=device,
        missing=tuple(str(problem) for problem in all_missing(experiment.project, experiment.pending())),
    )


def _taken_over(started: Result) -> str:
    """What a finished start took from its file, and what it left as initialised."""
    found = json.loads(started.path("start.json").read_bytes())
    left = found["initial"]
    some = ", ".join(left[:3]) + (", ..." if len(left) > 3 else "")
    return f"{len(found['given'])} tensors of {found['file']}; initial values: {some or 'none'}"


def convolution_speed(device: str) -> float:
    """Multiply-adds per second of a 3x3 convolution and its gradients there and now (median of three)."""
    batch = PROBE_BATCH[device]
    image = torch.zeros(batch, PROBE_CHANNELS, PROBE_SIDE, PROBE_SIDE, device=device).contiguous(
        memory_format=torch.channels_last
    )
    layer = torch.nn.Conv2d(PROBE_CHANNELS, PROBE_CHANNELS, 3, padding=1, device=device)
    layer = layer.to(memory_format=torch.channels_last)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        (slope,) = torch.autograd.grad(layer(image).sum(), [layer.weight])
        # A number that is looked at has been computed: devices work on while Python goes ahead.
        float(slope.sum())
        times.append(time.perf_counter() - started)
    work = 2 * batch * PROBE_SIDE**2 * PROBE_CHANNELS**2 * 9
    # Small layers, normalisation and the optimiser take about as long again as the convolutions.
    return work / sorted(times[1:])[1] / 2


def _device_of(asked: str) -> str:
    try:
        return chosen(asked)
    except EnvironmentProblem:
        return "cpu"


def _trainings(experiment: Experiment) -> Iterator[Train]:
    for address in experiment.plan.arms():
        yield address.plan.final.train
