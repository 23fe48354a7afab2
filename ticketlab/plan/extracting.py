"""The training of feature extractors, and what objectives need to be made once through one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ticketlab.plan.starting import plainly, starting
from ticketlab.plan.steps import Images, Prepared, Step, Train
from ticketlab.spec.compute import Compute
from ticketlab.spec.evaluate import ExtractorChoice
from ticketlab.spec.train import Objective

EXTRACTOR_SEED = 0
"""Every run looks through the same extractor, whatever its own seed."""


def extracting(
    options: ExtractorChoice, images: Images, compute: Compute, inputs: Mapping[str, Step] | None = None
) -> dict[str, Step]:
    """The input `extractor`, the training that makes an extractor; nothing for one that is not trained.

    It sees all training images, or those of a `subset` among the `inputs`.
    """
    made = options.training()
    if made is None:
        return {}
    model, objective = made
    images, subset = replace(images, scaling=options.scaling), inputs or {}
    training = Train(
        seed=EXTRACTOR_SEED,
        images=images,
        model=model,
        objective=objective,
        compute=compute,
        label="train the feature extractor",
        inputs={**subset, **starting(model, images, EXTRACTOR_SEED, compute, subset)},
    )
    return {"extractor": training}


def preparing(objective: Objective, images: Images, compute: Compute, subset: Mapping[str, Step]) -> dict[str, Step]:
    """The inputs `prepared` and `looks_through` of a training by this objective; nothing for one that needs none.

    All of it is made from the images that the training may see, also where the extractor is one that the lab trains.
    """
    lens, plain = objective.looks_through, plainly(compute)
    found = {} if lens is None else extracting(lens, images, plain, subset)
    inputs: dict[str, Step] = {"looks_through": found["extractor"]} if found else {}
    if objective.prepared_by:
        inputs["prepared"] = Prepared(
            images=images,
            function=objective.prepared_by,
            extractor=lens,
            compute=plain,
            inputs={**subset, **found},
        )
    return inputs
