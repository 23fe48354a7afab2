"""Filling in what a spec leaves to the field's conventions, and refusing what makes no sense together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ticketlab.spec.evaluate import GENERATIVE, LabClassifier
from ticketlab.spec.explain import Impossible
from ticketlab.spec.model import ModelChoice, Resnet
from ticketlab.spec.ticket import Drawn, Magnitude, NoTicket, PrunedByKind, RewindTo
from ticketlab.spec.train import Adversarial, CrossEntropy, Milestones

if TYPE_CHECKING:
    from ticketlab.spec.catalog import DatasetFacts
    from ticketlab.spec.data import Data
    from ticketlab.spec.evaluate import Evaluate
    from ticketlab.spec.spec import Spec


def resolve(spec: Spec, dataset: DatasetFacts) -> Spec:
    """The spec with every null that has a conventional value replaced by it.

    Raises `Impossible`, with the path in the spec, where parts cannot work together.
    """
    model, train = spec.model, spec.train
    if model.trains != train.trains:
        kind, objective = _name(model), _name(train)
        raise Impossible(
            ("train", "objective"),
            f"`{objective}` trains a {train.trains}, and `{kind}` is a {model.trains}",
            mend="use cross_entropy for classifiers, hinge or non_saturating for GANs",
        )
    if isinstance(model, Resnet) and (model.depth - 2) % 6:
        raise Impossible(
            ("model", "depth"), f"a CIFAR ResNet has depth 6n+2, not {model.depth}", mend="20, 32, 44, 56, 110"
        )
    _check_training(spec)
    return spec.model_copy(
        update={
            "data": _data(spec.data, model, dataset),
            "train": _train(spec),
            "evaluate": _evaluate(spec.evaluate, model, train, dataset),
            **_ticket(spec),
        }
    )


def _name(choice: Any) -> str:
    tag = next(tag for tag in ("kind", "method", "objective") if tag in type(choice).model_fields)
    return str(getattr(choice, tag))


def _data(data: Data, model: ModelChoice, dataset: DatasetFacts) -> Data:
    if data.ratio is not None and data.count is not None:
        raise Impossible(("data", "count"), "`ratio` and `count` both say how many images to keep", mend="remove one")
    if data.count is not None and data.count > dataset.train:
        raise Impossible(
            ("data", "count"),
            f"{data.count} images asked of {dataset.train}",
            mend=f"at most {dataset.train} for {dataset.name}",
        )
    if data.ratio is not None and int(data.ratio * dataset.train) < 1:
        raise Impossible(("data", "ratio"), f"{data.ratio} of {dataset.train} images is none", mend="a larger ratio")
    size = data.size or dataset.size
    if model.sizes is not None and size not in model.sizes:
        allowed = ", ".join(map(str, model.sizes))
        raise Impossible(
            ("data", "size") if data.size else ("data",),
            f"`{_name(model)}` works at {allowed} pixels, and the images of {dataset.name} would have {size}",
            mend=f"data.size: {min(model.sizes, key=lambda side: abs(side - size))}",
        )
    if data.fit == "pad" and size < dataset.size:
        raise Impossible(("data", "fit"), f"padding cannot shrink {dataset.size} pixels to {size}", mend="fit: resize")
    scaling = data.scaling or ("symmetric" if model.trains == "gan" else "standard")
    if model.trains == "gan" and scaling != "symmetric":
        raise Impossible(
            ("data", "scaling"), "generators end in tanh, so images are scaled to [-1, 1]", mend="scaling: symmetric"
        )
    return data.model_copy(update={"size": size, "scaling": scaling})


def _check_training(spec: Spec) -> None:
    train = spec.train
    if train.warmup >= train.steps and train.warmup:
        raise Impossible(
            ("train", "warmup"), f"a warm-up of {train.warmup} steps fills all {train.steps}", mend="a shorter one"
        )
    schedule = train.rate_schedule
    if isinstance(schedule, Milestones) and list(schedule.at) != sorted(set(schedule.at)):
        raise Impossible(("train", "rate_schedule", "at"), "milestones must rise", mend=str(sorted(set(schedule.at))))


def _train(spec: Spec) -> Any:
    if isinstance(spec.train, Adversarial) and spec.train.critic_optimizer is None:
        return spec.train.model_copy(update={"critic_optimizer": spec.train.optimizer})
    return spec.train


def _evaluate(evaluate: Evaluate, model: ModelChoice, train: Any, dataset: DatasetFacts) -> Evaluate:
    generative = model.trains == "gan"
    metrics = evaluate.metrics or (("frechet", "prdc") if generative else ("accuracy", "loss"))
    for position, metric in enumerate(metrics):
        if (metric in GENERATIVE) != generative:
            raise Impossible(
                ("evaluate", "metrics", position),
                f"`{metric}` cannot be measured on a {model.trains}",
                mend="frechet, kernel, prdc for GANs; accuracy, loss for classifiers",
            )
    if generative and "prdc" in metrics and evaluate.samples <= evaluate.neighbours:
        raise Impossible(
            ("evaluate", "samples"),
            f"{evaluate.neighbours} neighbours need more than {evaluate.samples} samples",
            mend="more samples",
        )
    extractor = evaluate.extractor
    if generative and isinstance(extractor, LabClassifier) and extractor.model.trains != "classifier":
        raise Impossible(
            ("evaluate", "extractor", "model"), f"`{_name(extractor.model)}` is no classifier", mend="kind: convnet"
        )
    if evaluate.every is not None and evaluate.every > train.steps:
        raise Impossible(
            ("evaluate", "every"),
            f"an evaluation every {evaluate.every} steps never comes in {train.steps}",
            mend="a smaller number",
        )
    split = evaluate.split or ("train" if generative else "test")
    return evaluate.model_copy(update={"metrics": metrics, "split": split})


def _ticket(spec: Spec) -> dict[str, Any]:
    ticket = spec.ticket
    if isinstance(ticket, NoTicket):
        if set(spec.arms) - {"ticket", "dense"}:
            raise Impossible(
                ("arms",), "without a ticket there is nothing to compare the dense network with", mend="arms: [dense]"
            )
        return {"arms": ("dense",)}
    if not isinstance(ticket, Drawn):
        return {}
    if len(set(spec.arms)) != len(spec.arms):
        raise Impossible(("arms",), "an arm is named twice", mend=str(list(dict.fromkeys(spec.arms))))
    networks = ticket.networks or spec.model.networks[:1]
    for position, network in enumerate(networks):
        if network not in spec.model.networks:
            raise Impossible(
                ("ticket", "networks", position),
                f"`{_name(spec.model)}` has no network `{network}`",
                mend=", ".join(spec.model.networks),
            )
    fractions = ticket.schedule.rate if ticket.schedule.rate is not None else ticket.schedule.density
    by_kind = not isinstance(fractions, float)
    named = tuple(kind for kind in ("conv", "linear") if by_kind and getattr(fractions, kind) is not None)
    if by_kind and ticket.layers not in (None, named):
        raise Impossible(("ticket", "layers"), "the schedule names the kinds of layer already", mend="remove `layers`")
    if by_kind and not named:
        section = "rate" if isinstance(fractions, PrunedByKind) else "density"
        raise Impossible(
            ("ticket", "schedule", section), "neither conv nor linear is given", mend=f"{section}: {{conv: 0.2}}"
        )
    round_steps = spec.train.steps if ticket.round_steps is None else ticket.round_steps
    if isinstance(ticket.rewind, RewindTo) and ticket.rewind.step >= min(round_steps, spec.train.steps):
        raise Impossible(
            ("ticket", "rewind", "step"),
            f"step {ticket.rewind.step} is not inside a training of {min(round_steps, spec.train.steps)} steps",
            mend="an earlier step, or longer rounds",
        )
    if isinstance(ticket, Magnitude) and ticket.rank == "ema" and isinstance(spec.train, CrossEntropy):
        raise Impossible(("ticket", "rank"), "classifiers are trained without a moving average", mend="rank: last")
    layers = named or ticket.layers or spec.model.prunable_layers
    update = {"networks": networks, "layers": layers, "round_steps": round_steps}
    return {"ticket": ticket.model_copy(update=update)}
