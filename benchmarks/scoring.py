"""Rounds of PX and SynFlow against a plain loop of one forward and backward pass, interleaved in one process.

    python benchmarks/scoring.py [--rounds 100] [--images 100] [--density 0.018] [--threads N] [--device cpu]
        [--layout channels_last]

A round is what a run does between two masks: the private masked network, the scores, the next mask. The plain
pass is `network(images).sum().backward()` at the batch the method works with (all images for PX, one for SynFlow), in
eval mode and the run's layout, once in the method's double precision and once in single. Prints medians per round, how
many plain passes a whole round and its scores cost, and that divided by the passes the method needs, counting a
forward pass alone as a third: 1 for SynFlow; for PX 2/3 (gates forward, ones forward) and the squares forward and
backward, which is 1 where a max-pool leads every image its own way (VGG, early on) and otherwise one image's.
Peak memory is that of two rounds, or two double-precision passes, in a process of their own, with the networks that
they work on: the round has its network in single precision beside the private one in double.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor, nn

from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.randomness import Key
from ticketlab.spec.drawing import Drawn, Schedule
from ticketlab.spec.foresight import Px, SynFlow
from ticketlab.spec.model import ModelChoice, Resnet, Vgg
from ticketlab.spec.probed import Probe, Probed
from ticketlab.tickets.prune import pruner

SHAPE = ImageShape(3, 32, 10)
MODELS: dict[str, ModelChoice] = {"resnet20": Resnet(depth=20), "vgg16": Vgg(depth=16)}
METHODS: dict[str, type[Drawn]] = {"px": Px, "synflow": SynFlow}
MEBI = 2**20


@dataclass(frozen=True)
class Asked:
    """What is measured: how many rounds to which density, on how many images, where."""

    rounds: int
    images: int
    density: float
    device: str
    layout: str


def needed(model: str, method: str, asked: Asked) -> Fraction:
    """The passes that scores take at the least, of one forward and backward over the images each."""
    if method == "synflow":
        return Fraction(1)
    return Fraction(2, 3) + (1 if model == "vgg16" else Fraction(1, asked.images))


def network_of(model: str, asked: Asked) -> nn.Module:
    network = build(MODELS[model], SHAPE, Key(0))["classifier"].eval().to(asked.device)
    return network.to(memory_format=getattr(torch, asked.layout))


def images_of(asked: Asked) -> Tensor:
    return torch.randn(asked.images, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(asked.device)


def rounds(model: str, method: str, asked: Asked, times: list[float] | None = None) -> Callable[[], None]:
    """A function that does the next round, as the draw of a run does; `times` is told what the next mask takes."""
    probe = {"probe": Probe(batch=asked.images)} if issubclass(METHODS[method], Probed) else {}
    options = METHODS[method](schedule=Schedule(rounds=asked.rounds, density=asked.density), **probe)
    work = pruner(options, network_of(model, asked), images_of(asked))
    state = {"mask": work.dense()}
    done = [0]
    spent = times if times is not None else []

    def one_round() -> None:
        done[0] += 1
        scores = work.scores(state["mask"], done[0])
        started = time.perf_counter()
        state["mask"] = work.kept(scores, state["mask"], done[0])
        spent.append(time.perf_counter() - started)

    return one_round


def passes(model: str, method: str, asked: Asked, dtype: torch.dtype) -> Callable[[], None]:
    """A function that does one plain forward and backward pass."""
    network = network_of(model, asked).to(dtype)
    images = images_of(asked).to(dtype)[: 1 if method == "synflow" else None]

    def one_pass() -> None:
        network.zero_grad(set_to_none=True)
        network(images).sum().backward()

    return one_pass


def seconds(work: Callable[[], None], device: str) -> float:
    started = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def peak(model: str, method: str, what: str, asked: Asked) -> float:
    """MiB that two rounds, or two double-precision passes, and their networks take in a process of their own."""
    command = [sys.executable, __file__, "--peak", model, method, what, "--images", str(asked.images)]
    command += ["--device", asked.device, "--layout", asked.layout, "--threads", str(torch.get_num_threads())]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def own_peak(model: str, method: str, what: str, asked: Asked) -> float:
    if asked.device == "cpu":
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again (Linux)
    start = high_water()
    work = rounds(model, method, asked) if what == "round" else passes(model, method, asked, torch.float64)
    work(), work()
    return high_water() - start if asked.device == "cpu" else torch.cuda.max_memory_allocated() / MEBI


def high_water() -> float:
    """The most memory this process has held so far, MiB."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def compare(model: str, method: str, asked: Asked) -> None:
    """Measure and print one model with one method."""
    masking: list[float] = []
    loops = {
        "round": rounds(model, method, asked, masking),
        "double": passes(model, method, asked, torch.float64),
        "single": passes(model, method, asked, torch.float32),
    }
    loops["double"](), loops["single"]()
    times: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(asked.rounds):
        for name in list(loops)[:: 1 if number % 2 else -1]:
            times[name].append(seconds(loops[name], asked.device))
    times["scores"] = [whole - mask for whole, mask in zip(times["round"], masking, strict=True)]
    middle = {name: statistics.median(found) * 1e3 for name, found in times.items()}
    least = float(needed(model, method, asked))
    whole, scores = (middle[name] / middle["double"] for name in ("round", "scores"))
    print(
        f"{model:9} {method:8} round {middle['round']:8.1f} ms, of that scores {middle['scores']:8.1f} ms   pass {middle['double']:8.1f} ms double, "
        f"{middle['single']:8.1f} ms single   {whole:5.2f} passes, {whole / least:5.2f} per pass needed, scores alone {scores / least:.2f} "
        f"(of single {middle['round'] / middle['single'] / least:.2f}, {middle['scores'] / middle['single'] / least:.2f})   "
        f"peak {peak(model, method, 'round', asked):.0f} MiB, plain {peak(model, method, 'pass', asked):.0f} MiB",
        flush=True,
    )


def main() -> None:
    """Compare both methods on both models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--density", type=float, default=0.018)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--layout", choices=("channels_last", "contiguous_format"), default="channels_last")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--peak", nargs=3, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    asked = Asked(given.rounds, given.images, given.density, given.device, given.layout)
    torch.set_num_threads(given.threads or torch.get_num_threads())
    if given.peak:
        model, method, what = given.peak
        print(own_peak(model, method, what, asked))
        return
    for model in given.models:
        for method in given.methods:
            compare(model, method, asked)


if __name__ == "__main__":
    main()
