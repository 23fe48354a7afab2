"""The lab's training loop against a bare PyTorch loop doing the same steps, interleaved in one process.

    python benchmarks/overhead.py [--rounds 12] [--steps 20] [--threads N]

Both loops train the same networks on the same batches with the same optimiser kernels. The bare loop keeps no curves,
masks nothing, seeds nothing and looks at no clock. Prints medians per step and their ratio, for a GAN and a classifier.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ticketlab.datasets.batches import Batches, Scaling
from ticketlab.datasets.shape import ImageShape
from ticketlab.models.build import build
from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.run.device import arrange
from ticketlab.run.journal import Journal
from ticketlab.spec.compute import Compute
from ticketlab.spec.model import Lenet, ModelChoice, Sngan
from ticketlab.spec.optimizer import Adam
from ticketlab.spec.train import CrossEntropy, Hinge, Objective
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.worn import Fixed, Wearing
from ticketlab.training.adversarial import hinge
from ticketlab.training.classification import cross_entropy
from ticketlab.training.loop import Course, follow
from ticketlab.training.setup import Setup, Training

SHAPE = ImageShape(1, 32, 10)
IMAGES = 2048


def data(batch: int) -> tuple[Tensor, Tensor, Batches]:
    """Random images; what is in them does not change the time."""
    source = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (IMAGES, 1, 32, 32), generator=source, dtype=torch.uint8)
    labels = torch.randint(0, 10, (IMAGES,), generator=source)
    return pixels, labels, Batches(pixels, labels, batch, Key(0))


def lab_loop(
    model: ModelChoice, objective: Objective, make: Callable[[Setup], Training], compute: Compute, folder: Path
) -> Callable[..., None]:
    """Steps of the lab's loop as `ticketlab run` does them: masked, logged in `folder`, checked, resumable.

    Called with their number and, if rows are to be written at another pace, other settings.
    """
    device = arrange(compute)
    networks = build(model, SHAPE, Key(0))
    for network in networks.values():
        device.place(network)
    _, _, batches = data(objective.batch)
    first = model.networks[0]
    weights = {name: found.parameter for name, found in prunable(networks, (first,), model.prunable_layers).items()}
    generator = torch.Generator().manual_seed(1)
    mask = Mask({name: torch.rand(weight.shape, generator=generator) < 0.5 for name, weight in weights.items()})
    scaling = Scaling.of("symmetric", (0.5,), (0.5,))
    wearing = Wearing(networks, {first: Fixed(networks[first], weights, mask)})
    setup = Setup(
        objective=objective,
        networks=networks,
        wearing=wearing,
        batches=batches,
        scale=lambda pixels: device.images(scaling(pixels)),
        augmenters=(),
        key=Key(0),
        precision=device.precision,
        compile=device.compiled,
    )
    training = make(setup)
    journal = Journal(folder / "journal.jsonl")
    done = [0]

    def steps(count: int, settings: Compute = compute) -> None:
        course = Course(done[0], done[0] + count, settings, folder)
        follow(training, wearing, course, journal, lambda: False)
        done[0] += count

    return steps


def bare_gan(options: Sngan, objective: Hinge) -> Callable[[int], None]:
    """What a researcher writes: two optimisers, hinge loss, moving average, nothing else."""
    networks = build(options, SHAPE, Key(0))
    generator, critic = (networks[name].to(memory_format=torch.channels_last) for name in ("generator", "critic"))
    average = [parameter.detach().clone() for parameter in generator.parameters()]
    adam = {"lr": 2e-4, "betas": (0.0, 0.9), "fused": True}
    generator_optimizer = torch.optim.Adam(generator.parameters(), **adam)
    critic_optimizer = torch.optim.Adam(critic.parameters(), **adam)
    pixels, _, _ = data(objective.batch)

    def batch() -> Tensor:
        chosen = torch.randint(0, IMAGES, (objective.batch,))
        return (pixels[chosen].float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)

    def steps(count: int) -> None:
        for _ in range(count):
            critic.requires_grad_(True)
            for _ in range(objective.n_critic):
                real = batch()
                with torch.no_grad():
                    fake = generator(torch.randn(len(real), options.latent))
                loss = F.relu(1 - critic(real)).mean() + F.relu(1 + critic(fake)).mean()
                critic_optimizer.zero_grad()
                loss.backward()
                critic_optimizer.step()
            critic.requires_grad_(False)
            loss = -critic(generator(torch.randn(objective.generator_batch, options.latent))).mean()
            generator_optimizer.zero_grad()
            loss.backward()
            generator_optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(average, list(generator.parameters()), 1 - objective.ema)

    return steps


def bare_classifier(options: Lenet, objective: CrossEntropy) -> Callable[[int], None]:
    """What a researcher writes: one optimiser, cross-entropy, nothing else."""
    classifier = build(options, SHAPE, Key(0))["classifier"].to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3, fused=True)
    pixels, labels, _ = data(objective.batch)

    def steps(count: int) -> None:
        for _ in range(count):
            chosen = torch.randint(0, IMAGES, (objective.batch,))
            images = (pixels[chosen].float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
            loss = F.cross_entropy(classifier(images), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return steps


def compare(name: str, lab: Callable[[int], None], bare: Callable[[int], None], rounds: int, steps: int) -> float:
    """Median milliseconds per step of both, interleaved, and the median of the ratios round by round."""
    lab(3), bare(3)
    times: dict[str, list[float]] = {"lab": [], "bare": []}
    for number in range(rounds):
        order = [("lab", lab), ("bare", bare)]
        for label, loop in order if number % 2 else reversed(order):
            started = time.perf_counter()
            loop(steps)
            times[label].append((time.perf_counter() - started) / steps * 1e3)
    ratio = statistics.median(one / other for one, other in zip(times["lab"], times["bare"], strict=True))
    medians = {label: statistics.median(found) for label, found in times.items()}
    print(f"{name:24} lab {medians['lab']:8.2f} ms   bare {medians['bare']:8.2f} ms   ratio {ratio:.3f}")
    return ratio


def main() -> None:
    """Compare both kinds of training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=None)
    asked = parser.parse_args()
    compute = Compute(threads=asked.threads)
    folder = Path(tempfile.mkdtemp())
    gan = Sngan(width=64, critic_width=64)
    adversarial = Hinge(steps=10**6, critic_optimizer=Adam(), n_critic=2, batch=32, generator_batch=32)
    compare(
        "sngan 64, hinge",
        lab_loop(gan, adversarial, hinge, compute, folder / "gan"),
        bare_gan(gan, adversarial),
        asked.rounds,
        max(2, asked.steps // 10),
    )
    lenet = Lenet(channels=(16, 32), hidden=(128,))
    classification = CrossEntropy(steps=10**6, batch=64, optimizer=Adam(lr=1e-3, beta1=0.9, beta2=0.999))
    compare(
        "lenet, cross-entropy",
        lab_loop(lenet, classification, cross_entropy, compute, folder / "classifier"),
        bare_classifier(lenet, classification),
        asked.rounds,
        asked.steps,
    )


if __name__ == "__main__":
    main()
