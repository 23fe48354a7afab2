"""One cell of an experiment as a chain of steps: subset, statistics, rounds of drawing, training, evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ticketlab.plan.steps import Control, Draw, Evaluate, Images, Measurement, Statistics, Step, Subset, Train
from ticketlab.spec.compute import Compute
from ticketlab.spec.evaluate import GENERATIVE, LabClassifier
from ticketlab.spec.spec import Spec
from ticketlab.spec.ticket import Arm, Drawn, RewindTo
from ticketlab.spec.train import Adam, Cosine, CrossEntropy

EXTRACTOR_SEED = 0
"""Every run measures through the same extractor, whatever its own seed."""


@dataclass(frozen=True)
class Trained:
    """A training, what it is measured at, and the mask it ran under (None: dense)."""

    train: Train
    evaluate: Evaluate
    mask: Step | None
    round: int


@dataclass(frozen=True)
class ArmPlan:
    """What one arm takes: the rounds that draw its mask, and its own training."""

    arm: Arm
    rounds: tuple[Trained, ...]
    final: Trained

    def steps(self) -> Iterator[Step]:
        """Every step of the arm after those it needs, each digest once."""
        seen: set[str] = set()
        for trained in (*self.rounds, self.final):
            for step in trained.evaluate.lineage():
                if step.digest not in seen:
                    seen.add(step.digest)
                    yield step


@dataclass(frozen=True)
class CellPlanner:
    """Plans the arms of one resolved cell over a dataset of `total` training images."""

    spec: Spec
    images: Images
    total: int
    kept: int

    def arms(self) -> tuple[ArmPlan, ...]:
        """A plan per arm, in the spec's order; the ticket's rounds are one trunk that all arms share."""
        return tuple(self._arm(arm) for arm in self.spec.arms)

    def _arm(self, arm: Arm) -> ArmPlan:
        if arm == "dense":
            return ArmPlan(arm, (), self._trained(self._training("train, dense", None, self.spec.train.steps), None, 0))
        rounds, mask = self._trunk()
        count = len(rounds)
        if arm in ("random", "shuffled"):
            mask = Control(seed=self.spec.seed, control=arm, inputs={"mask": mask})
        initial = "fresh" if arm == "fresh_weights" else "init"
        before = rounds[-1].train if rounds else None
        label = f"train, {arm.replace('_', ' ')}"
        train = self._training(
            label, mask, self.spec.train.steps, before=before, first=self._first(rounds), initial=initial
        )
        return ArmPlan(arm, rounds, self._trained(train, mask, count))

    def _trunk(self) -> tuple[tuple[Trained, ...], Step]:
        ticket = self.spec.ticket
        assert isinstance(ticket, Drawn)
        rounds: list[Trained] = []
        mask: Step | None = None
        for number in range(1, ticket.schedule.rounds + 1):
            if ticket.round_steps:
                before = rounds[-1].train if rounds else None
                label = f"round {number}: train before pruning"
                train = self._training(label, mask, ticket.round_steps, before=before, first=self._first(rounds))
                rounds.append(self._trained(train, mask, number - 1))
            mask = self._draw(ticket, number, rounds[-1].train if rounds else None, mask)
        assert mask is not None
        return tuple(rounds), mask

    def _draw(self, ticket: Drawn, number: int, weights: Train | None, mask: Step | None) -> Draw:
        inputs: dict[str, Step] = {}
        if weights is not None:
            inputs["weights"] = weights
        if mask is not None:
            inputs["mask"] = mask
        batches = bool(ticket.scores_need & {"inputs", "losses"})
        if batches and self.kept < self.total:
            inputs["subset"] = self._subset()
        return Draw(
            seed=self.spec.seed,
            images=self.images,
            model=self.spec.model,
            ticket=_known_in_round(ticket, number),
            round=number,
            compute=self.spec.compute,
            objective=self.spec.train if batches else None,
            inputs=inputs,
        )

    @staticmethod
    def _first(rounds: tuple[Trained, ...] | list[Trained]) -> Train | None:
        return rounds[0].train if rounds else None

    def _training(
        self,
        label: str,
        mask: Step | None,
        steps: int,
        *,
        before: Train | None = None,
        first: Train | None = None,
        initial: str = "init",
    ) -> Train:
        """A training from where the ticket's `rewind` says: initial values, an early step of the first, the last weights."""
        rewind = self.spec.ticket.rewind if isinstance(self.spec.ticket, Drawn) else "init"
        inputs: dict[str, Step] = {}
        if self.kept < self.total:
            inputs["subset"] = self._subset()
        if mask is not None:
            inputs["mask"] = mask
        begin, keep = 0, None
        if initial == "init" and rewind == "none" and before is not None:
            inputs["start"] = before
        if isinstance(rewind, RewindTo):
            if first is None:
                keep = rewind.step
            elif initial == "init":
                begin, inputs["start"] = rewind.step, first
        watch = self._measurement() if self.spec.evaluate.every is not None else None
        if watch is not None:
            inputs.update(self._references())
        return Train(
            seed=self.spec.seed,
            images=self.images,
            model=self.spec.model,
            objective=self.spec.train.model_copy(update={"steps": steps}),
            compute=self.spec.compute,
            initial=initial,
            begin=begin,
            keep=keep,
            watch=watch,
            watch_every=self.spec.evaluate.every,
            label=label,
            inputs=inputs,
        )

    def _trained(self, train: Train, mask: Step | None, number: int) -> Trained:
        evaluate = Evaluate(
            seed=self.spec.seed,
            images=self.images,
            model=self.spec.model,
            measurement=self._measurement(),
            after=train.objective.steps,
            compute=self.spec.compute,
            inputs={"weights": train, **self._references()},
        )
        return Trained(train, evaluate, mask, number)

    def _measurement(self) -> Measurement:
        evaluate = self.spec.evaluate
        assert evaluate.metrics is not None
        assert evaluate.split is not None
        generative = bool(GENERATIVE & set(evaluate.metrics))
        return Measurement(
            metrics=evaluate.metrics,
            samples=evaluate.samples if generative else 0,
            neighbours=evaluate.neighbours,
            split=evaluate.split,
            extractor=evaluate.extractor if generative else None,
        )

    def _references(self) -> dict[str, Step]:
        measurement = self._measurement()
        if measurement.extractor is None:
            return {}
        extractor: dict[str, Step] = {}
        if isinstance(measurement.extractor, LabClassifier):
            extractor = {"extractor": self._extractor(measurement.extractor)}
        statistics = Statistics(
            images=self.images,
            split=measurement.split,
            extractor=measurement.extractor,
            features=measurement.samples if {"kernel", "prdc"} & set(measurement.metrics) else 0,
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

    def _subset(self) -> Subset:
        return Subset(
            dataset=self.images.dataset,
            dataset_digest=self.images.digest,
            count=self.kept,
            rule=self.spec.data.subset,
            seed=self.spec.seed,
        )


def _known_in_round(ticket: Drawn, number: int) -> Drawn:
    """The ticket as a round knows it: where each round prunes a rate of what is left, not how many rounds follow.

    So cells that differ in the number of rounds share those they have in common.
    """
    if ticket.schedule.rate is None:
        return ticket
    return ticket.model_copy(update={"schedule": ticket.schedule.model_copy(update={"rounds": number})})
