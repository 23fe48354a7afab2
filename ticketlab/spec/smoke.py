"""A spec made tiny: every step of it, for two training steps on 64 images, to prove it before a night of compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ticketlab.spec.evaluate import LabClassifier
from ticketlab.spec.ticket import Drawn, RewindTo
from ticketlab.spec.train import Adversarial, CrossEntropy

if TYPE_CHECKING:
    from ticketlab.spec.spec import Spec

IMAGES = 64
STEPS = 2
BATCH = 16
SAMPLES = 64


def smoke(spec: Spec, classes: int) -> Spec:
    """The resolved spec at smoke size: same networks, same method, same rounds, same metrics; numbers without meaning."""
    train: dict[str, Any] = {"steps": STEPS, "warmup": min(spec.train.warmup, 1)}
    if isinstance(spec.train, Adversarial):
        train |= {"batch": min(spec.train.batch, BATCH), "generator_batch": min(spec.train.generator_batch, BATCH)}
    if isinstance(spec.train, CrossEntropy):
        train["batch"] = min(spec.train.batch, BATCH)
    evaluate: dict[str, Any] = {"samples": max(min(spec.evaluate.samples, SAMPLES), spec.evaluate.neighbours + 1)}
    if spec.evaluate.every is not None:
        evaluate["every"] = 1
    if isinstance(spec.evaluate.extractor, LabClassifier):
        evaluate["extractor"] = spec.evaluate.extractor.model_copy(update={"steps": STEPS})
    update: dict[str, Any] = {
        "data": spec.data.model_copy(update={"ratio": None, "count": max(IMAGES, classes)}),
        "train": spec.train.model_copy(update=train),
        "evaluate": spec.evaluate.model_copy(update=evaluate),
        "compute": spec.compute.model_copy(update={"log_every": 1}),
    }
    if isinstance(spec.ticket, Drawn):
        rewind = RewindTo(step=1) if isinstance(spec.ticket.rewind, RewindTo) else spec.ticket.rewind
        steps = min(spec.ticket.round_steps or 0, STEPS)
        update["ticket"] = spec.ticket.model_copy(update={"round_steps": steps, "rewind": rewind})
    return spec.model_copy(update=update)
