"""What a cell is measured by: the measurement itself, the reference statistics, the feature extractor."""

from __future__ import annotations

from dataclasses import dataclass

from ticketlab.plan.extracting import extracting
from ticketlab.plan.starting import plainly
from ticketlab.plan.steps import Images, Measurement, Statistics, Step
from ticketlab.spec.spec import Spec


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
        compute = plainly(self.spec.compute)
        extractor = extracting(measurement.extractor, self.images, compute)
        statistics = Statistics(
            images=self.images,
            split=measurement.split,
            extractor=measurement.extractor,
            features=measurement.samples if any(one.sees_real_features for one in measurement.metrics) else 0,
            compute=compute,
            inputs=extractor,
        )
        return {"statistics": statistics, **extractor}
