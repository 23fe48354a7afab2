from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ticketlab.augment.crop_flip import crop, flip
from ticketlab.augment.diffaugment import build as diffaugment
from ticketlab.datasets.batches import Batches, Scaling
from ticketlab.datasets.labels import MAPS
from ticketlab.datasets.shape import ImageShape
from ticketlab.errors import Interrupted
from ticketlab.models.build import build
from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.spec.augment import Crop, DiffAugment, Flip
from ticketlab.spec.compute import Compute
from ticketlab.spec.model import Convnet, ModelChoice, Sngan
from ticketlab.spec.optimizer import Adam, Sgd
from ticketlab.spec.rate_schedule import Cosine
from ticketlab.spec.regulariser import AdversarialFeatures
from ticketlab.spec.segmenters import Deeplab
from ticketlab.spec.task import GAN as GAN_TASK
from ticketlab.spec.task import SEGMENTER as SEGMENTER_TASK
from ticketlab.spec.train import CrossEntropy, Hinge, NonSaturating, Objective, PixelCrossEntropy, SquaredError
from ticketlab.tensors import content_digest
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.worn import Fixed, Wearing
from ticketlab.training.loop import Course, follow
from ticketlab.training.setup import Setup, Training, tensors_of

STEPS = 4
GAN = Sngan(width=4, critic_width=4, latent=8)
CLASSIFIER = Convnet(width=4)
SEGMENTER = Deeplab(width=4, pyramid=12, detail=6)
OPTIMIZERS = {
    "adam": Adam(lr=1e-3, beta1=0.5, beta2=0.9, weight_decay=0.1),
    "sgd": Sgd(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
}


def objective_of(name: str, optimizer: str, steps: int = STEPS) -> Objective:
    """A short training with warm-up, a schedule and augmentation, so that every part depends on the step."""
    common: dict[str, Any] = {"steps": steps, "batch": 3, "warmup": 1, "rate_schedule": Cosine()}
    if name == "pixel_cross_entropy":
        return PixelCrossEntropy(**common, optimizer=OPTIMIZERS[optimizer], augment=(Crop(padding=2), Flip()))
    if name in ("cross_entropy", "squared_error"):
        learned = CrossEntropy if name == "cross_entropy" else SquaredError
        return learned(**common, optimizer=OPTIMIZERS[optimizer], augment=(Flip(),))
    kind = NonSaturating if name == "non_saturating" else Hinge
    chosen = OPTIMIZERS[optimizer]
    return kind(
        **common,
        generator_batch=3,
        n_critic=2,
        ema=0.5,
        optimizer=chosen,
        critic_optimizer=chosen,
        augment=(DiffAugment(),),
        regularisers=(AdversarialFeatures(gamma=0.1, steps=2),) if name == "adversarial_features" else (),
    )


@dataclass
class Bench:
    """A training on 30 random images under a mask that keeps half of every weight, made anew each time."""

    objective: Objective
    masked: bool = True
    channels_last: bool = True
    bf16: bool = False
    rows: list[tuple[int, dict[str, float]]] = field(default_factory=list)

    def training(self) -> Training:
        gan = self.objective.trains == GAN_TASK
        maps = self.objective.trains == SEGMENTER_TASK
        model: ModelChoice = GAN if gan else SEGMENTER if maps else CLASSIFIER
        side = 32 if gan else 16
        networks = build(model, ImageShape(1, side, 10), Key(3).of("init"))
        for network in networks.values():
            if self.channels_last:
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        source = torch.Generator().manual_seed(1)
        images = torch.randint(256, (30, 1, side, side), dtype=torch.uint8, generator=source)
        labels = MAPS.example(30, ImageShape(1, side, 10)) if maps else torch.randint(10, (30,), generator=source)
        scaling = Scaling.of("symmetric", (0.5,), (0.5,))
        setup = Setup(
            objective=self.objective,
            networks=networks,
            wearing=self.wearing(networks),
            batches=Batches(images, labels, self.objective.batch, Key(3).of("data")),
            scale=lambda pixels: self.laid_out(scaling(pixels)),
            augmenters=[diffaugment(DiffAugment())] if gan else [*([crop(Crop(padding=2))] * maps), flip(Flip())],
            key=Key(3).of("train"),
            precision=lambda: torch.autocast("cpu", dtype=torch.bfloat16) if self.bf16 else nullcontext(),
            compile=lambda network: network,
        )
        module, _, name = self.objective.made_by.partition(":")
        made: Training = getattr(import_module(module), name)(setup)
        return made

    def laid_out(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last) if self.channels_last else images

    def wearing(self, networks: dict[str, nn.Module]) -> Wearing:
        found: dict[str, Fixed] = {}
        if not self.masked:
            return Wearing(networks)
        for name, network in networks.items():
            weights = prunable(networks, (name,), ("conv", "linear"))
            live: dict[str, Tensor] = {layer: weight.parameter for layer, weight in weights.items()}
            found[name] = Fixed(network, live, self.mask(live))
        return Wearing(networks, found)

    @staticmethod
    def mask(weights: dict[str, Tensor]) -> Mask:
        return Mask(
            {
                layer: torch.rand(weight.shape, generator=Key(5).of("mask", layer).generator()) < 0.5
                for layer, weight in weights.items()
            }
        )

    def follow(
        self,
        training: Training,
        folder: Path,
        *,
        until: int | None = None,
        compute: Compute | None = None,
        **course: Any,
    ) -> None:
        """Train to the end, or stop as a user would after step `until` (Interrupted)."""
        seen = {"step": course.get("begin", 0)}
        step = training.step

        def counted(number: int) -> dict[str, Tensor]:
            seen["step"] = number + 1
            return step(number)

        training.step = counted  # type: ignore[method-assign]
        asked = {"begin": 0, "end": self.objective.steps, **course}
        follow(
            training,
            Wearing(training.trained()),
            Course(compute=compute or Compute(threads=1, log_every=1), folder=folder, **asked),
            lambda number, row: self.rows.append((number, dict(row))),
            lambda: until is not None and seen["step"] >= until,
        )

    def stopped(self, folder: Path, until: int, **course: Any) -> None:
        with pytest.raises(Interrupted):
            self.follow(self.training(), folder, until=until, **course)


@pytest.fixture
def bench() -> Callable[..., Bench]:
    def make(name: str = "cross_entropy", optimizer: str = "adam", steps: int = STEPS, **options: Any) -> Bench:
        return Bench(objective_of(name, optimizer, steps), **options)

    return make


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors are fastest on one thread, and the promise of equal bits is for equal threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


_STRAIGHT: dict[str, tuple[str, str]] = {}


@pytest.fixture
def undisturbed(tmp_path: Path) -> Callable[[Bench], tuple[str, str]]:
    """The digests of state and weights after a training that nothing interrupts; done once for each bench."""

    def digests(made: Bench) -> tuple[str, str]:
        address = repr((made.objective, made.masked, made.channels_last, made.bf16))
        if address not in _STRAIGHT:
            training = made.training()
            made.follow(training, tmp_path / "undisturbed")
            _STRAIGHT[address] = content_digest(training.state()), content_digest(tensors_of(training.trained()))
        return _STRAIGHT[address]

    return digests


@pytest.fixture(params=["hinge", "adversarial_features", "cross_entropy"])
def objective(request: pytest.FixtureRequest) -> str:
    return str(request.param)
