"""Generative feature moment matching: a generator follows the real images' mean and variance of features.

Source: dos Santos et al. 2019, arXiv 1904.02762, with its moving averages by Adam.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from ticketlab.errors import DataError
from ticketlab.training.learner import Learner
from ticketlab.training.optim import SteppedOptimizer
from ticketlab.training.setup import Look, Setup, fed, named, under, widened

if TYPE_CHECKING:
    from ticketlab.models.entering import Generates
    from ticketlab.spec.moment_matching import MomentMatching

MOMENTS = ("mean", "variance")
BATCH = 250
"""Real images per forward pass."""

Differences = dict[str, Tensor]
"""Real moments minus generated ones, (D,) each."""


@torch.no_grad()
def real_moments(pixels: Tensor, look: Look) -> dict[str, Tensor]:
    """`mean` and `variance` (unbiased) of each feature over uint8 images (N, C, S, S): (D,) each, float32.

    Batches are joined in float64 by the rule of Chan, Golub and LeVeque (1979), so the order of a large mean and a
    small variance does not matter. DataError for fewer than two images, or features that are not finite.
    """
    if len(pixels) < 2:
        raise DataError("the variance of features takes two images at least", mend="more images: `data.count`")
    seen = 0
    mean = spread = torch.zeros(())
    for part in torch.split(pixels, BATCH):
        features = look(part).cpu().double()
        delta = features.mean(0) - mean
        total = seen + len(part)
        mean = mean + delta * (len(part) / total)
        spread = spread + (features - features.mean(0)).square().sum(0) + delta.square() * (seen * len(part) / total)
        seen = total
    moments = {"mean": mean.float(), "variance": (spread / (seen - 1)).float()}
    if not all(bool(torch.isfinite(moment).all()) for moment in moments.values()):
        raise DataError("features of the real images are not finite", mend="another extractor")
    return moments


def moment_matching(setup: Setup) -> MomentMatchingTraining:
    """Training of a generator to match moments."""
    return MomentMatchingTraining(setup)


class AveragedDifferences:
    """The differences of the moments, each averaged over the steps by an Adam that follows them.

    Adam descends the squared distance to the differences of each batch. The first update begins at those of its batch.
    """

    def __init__(self, features: int, device: torch.device, options: MomentMatching) -> None:
        self.values = {name: nn.Parameter(torch.zeros(features, device=device)) for name in MOMENTS}
        self._optimizer = SteppedOptimizer(self.values, options.averages, options)
        self._reduction = options.reduction

    @property
    def begun(self) -> bool:
        """Whether there was an update."""
        return bool(self._optimizer.state())

    def follow(self, differences: Differences, step: int) -> None:
        """One update after the differences of a batch."""
        if not self.begun:
            self._set(differences)
        self._optimizer.zero_grad()
        squares = [(self.values[name] - differences[name]).square() for name in MOMENTS]
        loss = sum((getattr(each, self._reduction)() for each in squares), torch.zeros((), device=squares[0].device))
        loss.backward()
        self._optimizer.step(step)

    def state(self) -> dict[str, Tensor]:
        """The averages and Adam's moments."""
        return {**named("average", self.values), **named("optimizer", self._optimizer.state())}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state."""
        self._set(under("average", state))
        self._optimizer.load(under("optimizer", state))

    @torch.no_grad()
    def _set(self, values: Mapping[str, Tensor]) -> None:
        for name, value in self.values.items():
            value.copy_(values[name])


class MomentMatchingTraining:
    """A generator in training; what other networks the model has stay as they are."""

    def __init__(self, setup: Setup) -> None:
        assert setup.extractor is not None, "moments are those of an extractor's features"
        self._setup, self._look = setup, setup.extractor
        self._options = cast("MomentMatching", setup.objective)
        self.generator = setup.networks["generator"]
        self._device = next(self.generator.parameters()).device
        self._generate = setup.compile(self.generator)
        self._learner = Learner("generator", setup, self._options.optimizer)
        self._real = {name: setup.prepared[name].to(self._device) for name in MOMENTS}
        self._averages = AveragedDifferences(len(self._real["mean"]), self._device, self._options)

    def step(self, step: int) -> dict[str, Tensor]:
        """The averages follow one batch; then the generator descends along them."""
        self.generator.train()
        differences = self._differences(self._generate, step)
        still = {name: value.detach() for name, value in differences.items()}
        self._averages.follow(still, step)
        loss = self._along(self._averages.values, differences)
        self._learner.learn(loss, step)
        sizes = {f"difference_{name}": value.square().mean() for name, value in still.items()}
        norms = {f"average_{name}": value.detach().norm() for name, value in self._averages.values.items()}
        return {"loss_generator": loss.detach(), **sizes, **norms}

    def _differences(self, generate: Callable[..., Tensor], number: int) -> Differences:
        with self._setup.precision():
            fake = generate(*self._entering(number))
        # Sums over a batch and differences of near numbers: in single precision, whatever the networks' is.
        features = self._look((widened(fake) + 1) * 127.5)
        return {"mean": self._real["mean"] - features.mean(0), "variance": self._real["variance"] - features.var(0)}

    @staticmethod
    def _along(directions: Mapping[str, Tensor], differences: Differences) -> Tensor:
        """L_G: the differences along directions that are constants to the gradient. No distance: it has a sign."""
        mean, variance = (directions[name].detach() @ differences[name] for name in MOMENTS)
        return mean + variance

    def inputs(self, number: int) -> dict[str, tuple[Tensor, ...]]:
        """What the images of an update are made of."""
        return {"generator": self._entering(number)}

    def losses(self, networks: Mapping[str, nn.Module], number: int) -> dict[str, Tensor]:
        """The loss of a given generator, along the averages, or before any update along its own differences."""
        differences = self._differences(fed(networks["generator"]), number)
        directions = self._averages.values if self._averages.begun else differences
        return {"generator": self._along(directions, differences)}

    def _entering(self, number: int) -> tuple[Tensor, ...]:
        generator = cast("Generates", self.generator)
        drawn = generator.entering(self._options.batch, self._setup.key.of("noise", "generator", number))
        return tuple(part.to(self._device, non_blocking=True) for part in drawn)

    def state(self) -> dict[str, Tensor]:
        """The generator, its optimiser, the averages and theirs."""
        return {**self._learner.state(), **named("differences", self._averages.state())}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go back to a saved state."""
        self._learner.load(state)
        self._averages.load(under("differences", state))

    def trained(self) -> Mapping[str, nn.Module]:
        """The last iterate of the generator, and the other networks as they are."""
        return self._setup.networks

    def evaluated(self) -> nn.Module:
        """The last iterate of the generator."""
        return self.generator
