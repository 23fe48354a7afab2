"""A spec made tiny: every step of it, for two training steps on 64 images, to prove it before a night of compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ticketlab.spec.evaluate import LabClassifier
from ticketlab.spec.ticket import Drawn, RewindTo
from ticketlab.spec.train import Adversarial

if TYPE_CHECKING:
    from ticketlab.spec.spec import Spec

IMAGES = 64
STEPS = 2
BATCH = 4
SAMPLES = 16
ROUNDS = 2


def smoke(spec: Spec, classes: int) -> Spec:
    """The resolved spec at smoke size: same networks, method and metrics, at most two rounds; numbers without meaning.

    Seeds are made equal, so that cells that differ in their seed or their share of the data alone are done once.
    """
    train: dict[str, Any] = {"steps": STEPS, "warmup": min(spec.train.warmup, 1), "batch": min(spec.train.batch, BATCH)}
    if isinstance(spec.train, Adversarial):
        train |= {"generator_batch": min(spec.train.generator_batch, BATCH), "n_critic": min(spec.train.n_critic, 2)}
    evaluate: dict[str, Any] = {"samples": max(min(spec.evaluate.samples, SAMPLES), spec.evaluate.neighbours + 1)}
    if spec.evaluate.every is not None:
        evaluate["every"] = 1
    if isinstance(spec.evaluate.extractor, LabClassifier):
        evaluate["extractor"] = spec.evaluate.extractor.model_copy(update={"steps": STEPS})
    update: dict[str, Any] = {
        "seed": 0,
        "data": spec.data.model_copy(update={"ratio": None, "count": max(IMAGES, classes)}),
        "train": spec.train.model_copy(update=train),
        "evaluate": spec.evaluate.model_copy(update=evaluate),
        "compute": spec.compute.model_copy(update={"log_every": 1}),
    }
    if isinstance(spec.ticket, Drawn):
        rewind = RewindTo(step=1) if isinstance(spec.ticket.rewind, RewindTo) else spec.ticket.rewind
        steps = min(spec.ticket.round_steps or 0, STEPS)
        schedule = spec.ticket.schedule.model_copy(update={"rounds": min(spec.ticket.schedule.rounds, ROUNDS)})
        update["ticket"] = spec.ticket.model_copy(update={"round_steps": steps, "rewind": rewind, "schedule": schedule})
    return spec.model_copy(update=update)
