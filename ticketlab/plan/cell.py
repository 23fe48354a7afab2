"""One cell of an experiment as a chain of steps: subset, statistics, rounds of drawing, training, evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ticketlab.plan.extracting import preparing
from ticketlab.plan.inputs import REWOUND
from ticketlab.plan.measuring import Measuring
from ticketlab.plan.starting import starting
from ticketlab.plan.steps import Control, Draw, Evaluate, Images, Step, Subset, Train
from ticketlab.spec.drawing import Drawn, RewindTo
from ticketlab.spec.evolving import Evolving
from ticketlab.spec.spec import Spec
from ticketlab.spec.structure import Weights
from ticketlab.spec.ticket import Arm
from ticketlab.spec.train import Objective


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
        ticket = self.spec.ticket
        if isinstance(ticket, Evolving) and ticket.search is None:
            return self._evolved(arm, ticket)
        rounds, mask = self._trunk()
        before = rounds[-1].train if rounds else None
        train = self._training(
            f"train, {arm.replace('_', ' ')}",
            self._mask_of(arm, mask),
            self.spec.train.steps,
            before=before,
            first=self._first(rounds),
            initial=_initial(arm),
        )
        return ArmPlan(arm, rounds, self._trained(train, train.inputs["mask"], len(rounds)))

    def _evolved(self, arm: Arm, ticket: Evolving) -> ArmPlan:
        """The training that makes the mask, and is measured; a control wears a mask from its first step on.

        Where weights do not learn, the controls' do not either, but their running statistics see as many batches.
        """
        search = self._search(ticket, self.spec.train)
        if arm == "ticket":
            return ArmPlan(arm, (), self._trained(search, search, 0))
        label = f"train, {arm.replace('_', ' ')}" if ticket.weights_learn else f"{arm.replace('_', ' ')}, untrained"
        train = self._training(
            label,
            self._mask_of(arm, search),
            self.spec.train.steps,
            initial=_initial(arm),
            still=not ticket.weights_learn,
        )
        return ArmPlan(arm, (), self._trained(train, train.inputs["mask"], 0))

    def _search(self, ticket: Evolving, objective: Objective) -> Train:
        """The training that makes the ticket; what comes after it does not change it."""
        alone = ticket.model_copy(update={"search": None, "rewind": "init"})
        return self._training(f"train, {ticket.name}", None, objective.steps, objective=objective, evolving=alone)

    def _mask_of(self, arm: Arm, mask: Step) -> Step:
        if arm in ("random", "shuffled"):
            ticket = self.spec.ticket
            structure = ticket.structure if isinstance(ticket, Drawn) else Weights()
            return Control(seed=self.spec.seed, control=arm, structure=structure, inputs={"mask": mask})
        return mask

    def _trunk(self) -> tuple[tuple[Trained, ...], Step]:
        ticket = self.spec.ticket
        if isinstance(ticket, Evolving):
            assert ticket.search is not None
            search = self._search(ticket, ticket.search)
            return (self._trained(search, search, 0),), search
        assert isinstance(ticket, Drawn)
        if not ticket.round_steps:
            return (), self._draw(ticket, (1, ticket.schedule.rounds), None, None)
        rounds: list[Trained] = []
        mask: Step | None = None
        for number in range(1, ticket.schedule.rounds + 1):
            before = rounds[-1].train if rounds else None
            label = f"round {number}: train before pruning"
            train = self._training(label, mask, ticket.round_steps, before=before, first=self._first(rounds))
            rounds.append(self._trained(train, mask, number - 1))
            mask = self._draw(ticket, (number, number), train, mask)
        assert mask is not None
        return tuple(rounds), mask

    def _draw(self, ticket: Drawn, rounds: tuple[int, int], weights: Train | None, mask: Step | None) -> Draw:
        inputs: dict[str, Step] = starting(self.spec.model, self.images)
        if weights is not None:
            inputs["weights"] = weights
        if mask is not None:
            inputs["mask"] = mask
        batches = bool(ticket.scores_need & {"inputs", "losses"})
        if batches:
            inputs.update(self._seen(self.spec.train))
        return Draw(
            seed=self.spec.seed,
            images=self.images,
            model=self.spec.model,
            ticket=_known_in_round(ticket, rounds[1]),
            first=rounds[0],
            round=rounds[1],
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
        objective: Objective | None = None,
        initial: str = "init",
        evolving: Evolving | None = None,
        still: bool = False,
    ) -> Train:
        """A training from where the ticket's `rewind` says: initial values, an early step of the first, the last weights."""
        ticket = self.spec.ticket
        rewind = ticket.rewind if isinstance(ticket, Drawn | Evolving) else "init"
        inputs: dict[str, Step] = starting(self.spec.model, self.images) if initial == "init" else {}
        inputs.update(self._seen(objective or self.spec.train))
        if mask is not None:
            inputs["mask"] = mask
        begin, keep = 0, None
        if initial == "init" and rewind == "none" and before is not None:
            inputs[REWOUND] = before
        if isinstance(rewind, RewindTo):
            if first is None:
                keep = rewind.step
            elif initial == "init":
                begin, inputs[REWOUND] = rewind.step, first
        every = (evolving.hears if evolving is not None else None) or self.spec.evaluate.every
        watch = self._measuring().measurement() if every is not None else None
        if watch is not None:
            inputs.update(self._measuring().references())
        return Train(
            seed=self.spec.seed,
            images=self.images,
            model=self.spec.model,
            objective=(objective or self.spec.train).model_copy(update={"steps": steps}),
            compute=self.spec.compute,
            initial=initial,
            begin=begin,
            keep=keep,
            evolving=evolving,
            still=still,
            watch=watch,
            watch_every=every,
            label=label,
            inputs=inputs,
        )

    def _trained(self, train: Train, mask: Step | None, number: int) -> Trained:
        evaluate = Evaluate(
            seed=self.spec.seed,
            images=self.images,
            model=self.spec.model,
            measurement=self._measuring().measurement(),
            after=train.objective.steps,
            compute=self.spec.compute,
            inputs={"weights": train, **self._measuring().references()},
        )
        return Trained(train, evaluate, mask, number)

    def _measuring(self) -> Measuring:
        return Measuring(self.spec, self.images)

    def _seen(self, objective: Objective) -> dict[str, Step]:
        """What there is to train on: the subset, if images are left out, and what the objective makes of them once."""
        subset: dict[str, Step] = {"subset": self._subset()} if self.kept < self.total else {}
        return {**subset, **preparing(objective, self.images, self.spec.compute, subset)}

    def _subset(self) -> Subset:
        return Subset(
            dataset=self.images.dataset,
            dataset_digest=self.images.digest,
            count=self.kept,
            rule=self.spec.data.subset,
            seed=self.spec.seed,
        )


def _initial(arm: Arm) -> str:
    """Whose initial weights an arm starts from: the ticket's own, or others."""
    return "fresh" if arm == "fresh_weights" else "init"


def _known_in_round(ticket: Drawn, number: int) -> Drawn:
    """The ticket as a round knows it: where each round prunes a rate of what is left, not how many rounds follow.

    So cells that differ in the number of rounds share those they have in common.
    """
    if ticket.schedule.rate is None:
        return ticket
    return ticket.model_copy(update={"schedule": ticket.schedule.model_copy(update={"rounds": number})})
