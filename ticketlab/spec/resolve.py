"""Filling in what a spec leaves to the field's conventions, and refusing what makes no sense together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ticketlab.spec.arm import ArmChoice, Dense
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.chosen_classes import narrowed, numbers
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.labelling import label_kind
from ticketlab.spec.language import place_at
from ticketlab.spec.metric import metrics_of
from ticketlab.spec.probed import Probed
from ticketlab.spec.ticket import NoTicket

if TYPE_CHECKING:
    from ticketlab.spec.catalog import DatasetFacts
    from ticketlab.spec.data import Data
    from ticketlab.spec.evaluate import Evaluate
    from ticketlab.spec.model import ModelChoice
    from ticketlab.spec.positions import Path
    from ticketlab.spec.section import Choice
    from ticketlab.spec.spec import Spec
    from ticketlab.spec.task import Task


def resolve(spec: Spec, dataset: DatasetFacts) -> Spec:
    """The spec with every null that has a conventional value replaced by it.

    Raises `Impossible`, with the path in the spec, where parts cannot work together.
    """
    model, train = spec.model, spec.train
    if model.trains != train.trains:
        raise Impossible(
            ("train", "objective"),
            f"`{train.name}` trains a {train.trains.name}, and `{model.name}` is a {model.trains.name}",
            mend=f"for a {model.trains.name}: {_names_of_task(('train',), model.trains)}",
        )
    task = model.trains
    _refuse_labels(task.labels, f"a {task.name}", ("data", "dataset"), dataset, _names_of_labels(task.labels))
    chosen = None if spec.data.classes is None else numbers(spec.data.classes, dataset, ("data", "classes"))
    dataset = dataset if chosen is None else narrowed(dataset, chosen)
    update: dict[str, Any] = {"data": _data(spec.data, model, dataset).model_copy(update={"classes": chosen})}
    for section in ("model", "train", "ticket"):
        update[section] = getattr(spec, section).settled(spec, (section,))
    _refuse_colour_on_gray(model, dataset)
    _refuse_too_few_to_probe(update["ticket"], spec.data, dataset)
    return spec.model_copy(update={**update, "evaluate": _evaluate(spec, dataset), "arms": _arms(spec)})


def _refuse_labels(kind: str | None, who: str, at: Path, dataset: DatasetFacts, mend: str) -> None:
    """Refuses labels of another kind than somebody learns from."""
    if kind is not None and kind != dataset.labels:
        theirs = label_kind(dataset.labels, where=dataset.name).about
        what = f"{who} learns from {label_kind(kind).about}, and {dataset.name} has {theirs}"
        raise Impossible(at, what, mend)


def _refuse_colour_on_gray(model: ModelChoice, dataset: DatasetFacts) -> None:
    """Weights that begin with a convolution of three channels see no gray images."""
    if model.start is not None and model.start.is_of_colour() and dataset.channels != 3:
        raise Impossible(
            ("model", "start"),
            f"these weights are of images in colour, and those of {dataset.name} are gray",
            mend="a dataset in colour, or remove `start`",
        )


def _names_of_labels(kind: str | None) -> str:
    """The known datasets with labels of a kind."""
    known = ", ".join(name for name, entry in KNOWN.items() if entry.labels == kind)
    return known or f"a dataset whose labels are of the kind `{kind}`"


def _refuse_too_few_to_probe(ticket: Choice, data: Data, dataset: DatasetFacts) -> None:
    """Fewer images than the probe set has cannot hold enough of every class, however they are chosen."""
    if not isinstance(ticket, Probed) or not ticket.scores_need & {"inputs", "losses"}:
        return
    kept, asked = data.kept_of(dataset.train), ticket.probe.per_class
    if kept < asked * dataset.classes:
        raise Impossible(
            ("ticket", "probe", "per_class"),
            f"{asked} images of each of {dataset.classes} classes are asked of {kept} images",
            mend=f"per_class: {kept // dataset.classes}"
            if kept >= dataset.classes
            else f"keep at least {dataset.classes} images",
        )


def _names_of_task(path: tuple[str, ...], task: Task) -> str:
    """The members of the family at `path` that serve a task."""
    place = place_at(path, {})
    assert place is not None
    serving = [section for section in place.sections if getattr(section, "trains", None) == task]
    return ", ".join(section.model_construct().name for section in serving)  # type: ignore[attr-defined]


def _arms(spec: Spec) -> tuple[ArmChoice, ...]:
    if isinstance(spec.ticket, NoTicket):
        if any(arm.made_by or arm.initial != "init" for arm in spec.arms):
            what = "without a ticket there is nothing to compare the dense network with"
            raise Impossible(("arms",), what, mend="arms: [dense]")
        return (Dense(),)
    names = [arm.name for arm in spec.arms]
    if len(set(names)) != len(names):
        raise Impossible(("arms",), "an arm is named twice", mend=f"[{', '.join(dict.fromkeys(names))}]")
    return spec.arms


def _data(data: Data, model: ModelChoice, dataset: DatasetFacts) -> Data:
    if data.ratio is not None and data.count is not None:
        raise Impossible(("data", "count"), "`ratio` and `count` both say how many images to keep", mend="remove one")
    if data.count is not None and data.count > dataset.train:
        raise Impossible(
            ("data", "count"),
            f"{data.count} images asked of {dataset.train}",
            mend=f"at most {dataset.train} for {dataset.name}",
        )
    if data.kept_of(dataset.train) < 1:
        raise Impossible(("data", "ratio"), f"{data.ratio} of {dataset.train} images is none", mend="a larger ratio")
    size = data.size or dataset.size
    if model.sizes is not None and size not in model.sizes:
        allowed = ", ".join(map(str, model.sizes))
        raise Impossible(
            ("data", "size") if data.size else ("data",),
            f"`{model.name}` works at {allowed} pixels, and the images of {dataset.name} would have {size}",
            mend=f"data.size: {min(model.sizes, key=lambda side: abs(side - size))}",
        )
    if data.fit == "pad" and dataset.streamed:
        what = f"the images of {dataset.name} are cut out of larger pictures, in any size"
        raise Impossible(("data", "fit"), what, mend="fit: resize")
    if data.fit == "pad" and size < dataset.size:
        raise Impossible(("data", "fit"), f"padding cannot shrink {dataset.size} pixels to {size}", mend="fit: resize")
    task = model.trains
    scaling = data.scaling or task.scaling
    if task.only_scaling and scaling != task.scaling:
        raise Impossible(("data", "scaling"), task.only_scaling, mend=f"scaling: {task.scaling}")
    return data.model_copy(update={"size": size, "scaling": scaling})


def _evaluate(spec: Spec, dataset: DatasetFacts) -> Evaluate:
    evaluate, task = spec.evaluate, spec.model.trains
    metrics = tuple(
        metric.settled(spec, ("evaluate", "metrics", position)) for position, metric in enumerate(metrics_of(spec))
    )
    names = [metric.name for metric in metrics]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise Impossible(("evaluate", "metrics", position), f"`{name}` is asked for twice", mend="remove one")
    if evaluate.every is not None and evaluate.every > spec.train.steps:
        raise Impossible(
            ("evaluate", "every"),
            f"an evaluation every {evaluate.every} steps never comes in {spec.train.steps}",
            mend="a smaller number",
        )
    update: dict[str, Any] = {"metrics": metrics, "split": evaluate.split or task.split}
    if task.through_features:
        at: Path = ("evaluate", "extractor")
        extractor = update["extractor"] = evaluate.extractor.settled(spec, at)
        _refuse_labels(getattr(extractor, "labels", None), f"`{extractor.name}`", at, dataset, "kind: random_conv")
    return evaluate.model_copy(update=update)
