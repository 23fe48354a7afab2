"""Moment matching: a generator learns from the mean and variance of the real images' features, without a critic."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.evaluate import Extractor, ExtractorChoice
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.optimizer import Adam, Optimizer
from ticketlab.spec.task import GAN, Task
from ticketlab.spec.train import Objective

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec


class MomentMatching(Objective):
    """Generative feature matching with moving averages by Adam. A critic that the model has is left as it is."""

    made_by: ClassVar[str] = "ticketlab.training.moment_matching:moment_matching"
    prepared_by: ClassVar[str] = "ticketlab.training.moment_matching:real_moments"
    about: ClassVar[str] = "the generator matches mean and variance of the real images' features; no critic"
    source: ClassVar[str] = (
        "dos Santos et al. 2019, arXiv 1904.02762; drives the search of strong tickets in generators"
    )
    trains: ClassVar[Task] = GAN
    learns: ClassVar[tuple[str, ...] | None] = ("generator",)

    objective: Literal["moment_matching"] = Field(
        default="moment_matching", description="Generative feature moment matching."
    )
    steps: int = Field(ge=1, le=100_000_000, description="Length of a training, in generator updates.")
    batch: int = Field(default=64, ge=2, le=65_536, description="Generated images per update.")
    extractor: Extractor = Field(
        default={"kind": "random_conv"},  # type: ignore[assignment]
        description="Network whose features are matched, in eval mode; another one than measures the samples.",
    )
    optimizer: Optimizer = Field(
        default=Adam(lr=5e-5, beta1=0.5, beta2=0.999), description="Optimiser of the generator, or of its scores."
    )
    averages: Adam = Field(
        default=Adam(lr=1e-5, beta1=0.5, beta2=0.999),
        description="Adam that moves the averaged differences of the moments after those of each batch. It takes steps of "
        "at most its `lr`: for trainings of less than 50,000 steps, 1e-3 is better.",
    )
    reduction: Literal["sum", "mean"] = Field(
        default="sum",
        description="Over the features, in what `averages` descends; the mean, as released, brings gradients near its eps.",
    )

    @property
    def looks_through(self) -> ExtractorChoice | None:
        """The extractor."""
        return self.extractor

    def forwards(self, networks: tuple[str, ...]) -> Mapping[str, int]:
        """The generator's images, forward and backward; the extractor is not counted."""
        return {"generator": 3 * self.batch}

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses augmentation, and samples that would be measured by what they were made to match."""
        if self.augment:
            raise Impossible(
                (*at, "augment"),
                "the real images' moments are taken once, of images as they are",
                mend="remove `augment`",
            )
        extractor = self.extractor.settled(spec, (*at, "extractor"))
        measuring = spec.evaluate.extractor.settled(spec, ("evaluate", "extractor"))
        if extractor.counting() == measuring.counting():
            raise Impossible(
                (*at, "extractor"),
                "samples made to match an extractor's features cannot be measured by the same features",
                mend="another kind, model or seed here or in `evaluate.extractor`",
            )
        optimizer = self.optimizer.settled(spec, (*at, "optimizer"))
        return super().settled(spec, at).model_copy(update={"extractor": extractor, "optimizer": optimizer})

    def _tiny(self) -> dict[str, Any]:
        return {**super()._tiny(), "extractor": self.extractor.tiny()}
