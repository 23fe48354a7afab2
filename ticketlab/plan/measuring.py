"""What a cell is measured by: the measurement itself, the reference statistics, the feature extractor."""

from __future__ import annotations

from dataclasses import dataclass

from ticketlab.plan.steps import Images, Measurement, Statistics, Step, Train
from ticketlab.spec.compute import Compute
from ticketlab.spec.evaluate import LabClassifier
from ticketlab.spec.optimizer import Adam
from ticketlab.spec.rate_schedule import Cosine
from ticketlab.spec.spec import Spec
from ticketlab.spec.train import CrossEntropy

EXTRACTOR_SEED = 0
"""Every run measures through the same extractor, whatever its own seed."""


@dataclass(frozen=True)
class Measuring:
    """Plans the measuring of one resolved cell."""

    spec: Spec
    images: Images

    def measurement(self) -> Measurement:
        """What is measured on every network of the cell."""
        evaluate, task = self.spec.evaluate, self.spec.model.trains
        assert evaluate.metrics is not None
        assert evaluate.split is not None
        return Measurement(
            made_by=task.measured_by,
            metrics=evaluate.metrics,
            samples=evaluate.samples if task.through_features else 0,
            split=evaluate.split,
            extractor=evaluate.extractor if task.through_features else None,
        )

    def references(self) -> dict[str, Step]:
        """The inputs a measurement needs beside weights: statistics of real images, and the extractor if it is trained."""
        measurement = self.measurement()
        if measurement.extractor is None:
            return {}
        extractor: dict[str, Step] = {}
        if isinstance(measurement.extractor, LabClassifier):
            extractor = {"extractor": self._extractor(measurement.extractor)}
        statistics = Statistics(
            images=self.images,
            split=measurement.split,
            extractor=measurement.extractor,
            features=measurement.samples if any(one.sees_real_features for one in measurement.metrics) else 0,
            compute=self._plain_compute(),
            inputs=extractor,
        )
        return {"statistics": statistics, **extractor}

    def _extractor(self, options: LabClassifier) -> Train:
        images = Images(**{**vars(self.images), "scaling": "standard"})
        objective = CrossEntropy(
            steps=options.steps,
            batch=128,
            optimizer=Adam(lr=1e-3, beta1=0.9, beta2=0.999),
            rate_schedule=Cosine(),
        )
        return Train(
            seed=EXTRACTOR_SEED,
            images=images,
            model=options.model,
            objective=objective,
            compute=self._plain_compute(),
            label="train the feature extractor",
        )

    def _plain_compute(self) -> Compute:
        """How every run of a matrix makes its extractor and statistics, so that all are measured on the same ones."""
        return Compute(device=self.spec.compute.device, threads=self.spec.compute.threads)
