"""One cell of an experiment as a chain of steps: subset, statistics, rounds of drawing, training, evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ticketlab.plan.arm import ArmPlan, Trained
from ticketlab.plan.extracting import preparing
from ticketlab.plan.inputs import REWOUND
from ticketlab.plan.measured import between
from ticketlab.plan.measuring import Measuring
from ticketlab.plan.starting import starting
from ticketlab.plan.steps import Control, Curve, Draw, Evaluate, Images, Step, Subset, Train, Transfer
from ticketlab.spec.arm import ArmChoice, TicketArm
from ticketlab.spec.drawing import Drawn, RewindTo
from ticketlab.spec.evolving import Evolving
from ticketlab.spec.masked import Masked
from ticketlab.spec.round_steps import by_round, shortest
from ticketlab.spec.spec import Spec
from ticketlab.spec.train import Objective
from ticketlab.spec.transfer import Transferred


@dataclass(frozen=True)
class CellPlanner:
    """Plans the arms of one resolved cell; `subset` chooses the training images that are kept, None where all are."""

    spec: Spec
    images: Images
    subset: Subset | None

    def arms(self) -> tuple[ArmPlan, ...]:
        """A plan per arm, in the spec's order; the ticket's rounds are one trunk that all arms share."""
        return tuple(self._arm(arm) for arm in self.spec.arms)

    def _arm(self, arm: ArmChoice) -> ArmPlan:
        if not arm.wears:
            return ArmPlan(
                arm.name, (), self._trained(self._training("train, dense", None, self.spec.train.steps), None, 0)
            )
        ticket = self.spec.ticket
        if isinstance(ticket, Evolving) and ticket.search is None:
            return self._evolved(arm, ticket)
        rounds, mask = self._trunk()
        before = rounds[-1].train if rounds else None
        train = self._training(
            f"train, {arm.label}",
            self._mask_of(arm, mask),
            self.spec.train.steps,
            before=before,
            first=self._first(rounds),
            initial=arm.initial,
        )
        return ArmPlan(arm.name, rounds, self._trained(train, train.inputs["mask"], len(rounds)))

    def _evolved(self, arm: ArmChoice, ticket: Evolving) -> ArmPlan:
        """The training that makes the mask, and is measured; a control wears a mask from its first step on.

        Where weights do not learn, the controls' do not either, but their running statistics see as many batches.
        """
        search = self._search(ticket, self.spec.train)
        if isinstance(arm, TicketArm):
            return ArmPlan(arm.name, (), self._trained(search, search, 0))
        label = f"train, {arm.label}" if ticket.weights_learn else f"{arm.label}, untrained"
        train = self._training(
            label,
            self._mask_of(arm, search),
            self.spec.train.steps,
            initial=arm.initial,
            still=not ticket.weights_learn,
        )
        return ArmPlan(arm.name, (), self._trained(train, train.inputs["mask"], 0))

    def _search(self, ticket: Evolving, objective: Objective) -> Train:
        """The training that makes the ticket; what comes after it does not change it."""
        alone = ticket.model_copy(update={"search": None, "rewind": "init"})
        return self._training(f"train, {ticket.name}", None, objective.steps, objective=objective, evolving=alone)

    def _mask_of(self, arm: ArmChoice, mask: Step) -> Step:
        if not arm.made_by:
            return mask
        ticket = self.spec.ticket
        assert isinstance(ticket, Masked), "without a ticket there are no controls"
        return Control(seed=self.spec.seed, control=arm, structure=ticket.control_structure, inputs={"mask": mask})

    def _trunk(self) -> tuple[tuple[Trained, ...], Step]:
        ticket = self.spec.ticket
        if isinstance(ticket, Evolving):
            assert ticket.search is not None
            search = self._search(ticket, ticket.search)
            return (self._trained(search, search, 0),), search
        if isinstance(ticket, Transferred):
            return (), self._transfer(ticket)
        assert isinstance(ticket, Drawn)
        if not ticket.round_steps:
            return (), self._draw(ticket, (1, ticket.schedule.rounds), None, None)
        rounds: list[Trained] = []
        mask: Step | None = None
        for number, steps in enumerate(by_round(ticket.round_steps, ticket.schedule.rounds), 1):
            before = rounds[-1].train if rounds else None
            label = f"round {number}: train before pruning"
            train = self._training(label, mask, steps, before=before, first=self._first(rounds))
            rounds.append(self._trained(train, mask, number - 1))
            mask = self._draw(ticket, (number, number), train, mask)
        assert mask is not None
        return tuple(rounds), mask

    def _transfer(self, ticket: Transferred) -> Transfer:
        return Transfer(
            seed=self.spec.seed, images=self.images, model=self.spec.model, ticket=ticket, inputs=self._starting("init")
        )

    def _draw(self, ticket: Drawn, rounds: tuple[int, int], weights: Train | None, mask: Step | None) -> Draw:
        inputs = self._starting("init")
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
            objective=self.spec.train.scored() if batches else None,
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
        inputs = self._starting(initial)
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
        hears = None if evolving is None else evolving.hears
        if hears is not None:
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
            snapshots=hears or self._every(begin, steps),
            heard=None if hears is None else self._measuring().measurement(),
            label=label,
            inputs=inputs,
        )

    def _every(self, begin: int, end: int) -> int | None:
        """How often a training from step `begin` to `end` leaves a snapshot; None where it never does."""
        every = self.spec.evaluate.every
        return every if every is not None and between(begin, end, every) else None

    def _trained(self, train: Train, mask: Step | None, number: int) -> Trained:
        every, begin, end = train.snapshots, train.begin, train.objective.steps
        asked: dict[str, Any] = {
            "seed": self.spec.seed,
            "images": self.images,
            "model": self.spec.model,
            "measurement": self._measuring().measurement(),
            "compute": self.spec.compute,
            "inputs": {"weights": train, **self._measuring().references()},
        }
        # A training that was told its measurements has them in its own rows already.
        curve = None
        if every is not None and train.heard is None:
            curve = Curve(every=every, begin=begin, end=end, **asked)
        return Trained(train, curve, Evaluate(after=end, **asked), mask, number)

    def _measuring(self) -> Measuring:
        return Measuring(self.spec, self.images)

    def _starting(self, initial: str) -> dict[str, Step]:
        return starting(self.spec.model, self.images, self.spec.seed, self.spec.compute, self._limited(), initial)

    def _seen(self, objective: Objective) -> dict[str, Step]:
        """What there is to train on: the subset, if images are left out, and what the objective makes of them once."""
        return {**self._limited(), **preparing(objective, self.images, self.spec.compute, self._limited())}

    def _limited(self) -> dict[str, Step]:
        return {} if self.subset is None else {"subset": self.subset}


def _known_in_round(ticket: Drawn, number: int) -> Drawn:
    """The ticket as a round knows it: where each round prunes a rate of what is left, not how many or how long ones follow.

    So cells that differ in the number of rounds share those they have in common.
    """
    if ticket.schedule.rate is None:
        return ticket
    schedule = ticket.schedule.model_copy(update={"rounds": number})
    assert ticket.round_steps is not None, "the spec was not resolved"
    steps = shortest(by_round(ticket.round_steps, number))
    return ticket.model_copy(update={"schedule": schedule, "round_steps": steps})
