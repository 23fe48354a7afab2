"""What the ways of drawing a ticket share: its schedule, its scope, what survivors return to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ticketlab.spec.impossible import Impossible
from ticketlab.spec.masked import LayerKind, Masked, refuse_absent
from ticketlab.spec.round_steps import RoundSteps, by_round, shortest
from ticketlab.spec.scope import Global, Scope
from ticketlab.spec.section import SMOKE_STEPS, Section, Share
from ticketlab.spec.structure import Structure, StructureChoice, Weights

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

SMOKE_ROUNDS = 2

Pruned = Annotated[float, Field(ge=0, lt=1)]


class PrunedByKind(Section):
    """Shares pruned per round, conv and linear layers apart; a kind that is left out stays dense."""

    conv: Pruned | None = Field(
        default=None, description="Share of the remaining conv weights pruned per round, in [0, 1)."
    )
    linear: Pruned | None = Field(
        default=None, description="Share of the remaining linear weights pruned per round, in [0, 1)."
    )


class DensityByKind(Section):
    """Shares kept at the end, conv and linear layers apart; a kind that is left out stays dense."""

    conv: Share | None = Field(default=None, description="Share of the conv weights kept at the end, in (0, 1].")
    linear: Share | None = Field(default=None, description="Share of the linear weights kept at the end, in (0, 1].")


class Schedule(Section):
    """How density falls over the rounds: by `rate` of what is left each round, or to `density` at the end."""

    rounds: int = Field(default=1, ge=1, le=10_000, description="Number of times the mask is tightened; 1 is one-shot.")
    rate: Pruned | PrunedByKind | None = Field(
        default=None,
        description="Share of the REMAINING weights pruned in each round, in [0, 1); exclusive with `density`.",
    )
    density: Share | DensityByKind | None = Field(
        default=None, description="Share of the weights kept after the last round, in (0, 1]; exclusive with `rate`."
    )
    spacing: Literal["exponential", "linear"] = Field(
        default="exponential",
        description="With `density`: the same share of what is left each round, or the same share of the whole.",
    )

    @model_validator(mode="after")
    def _one_of_rate_and_density(self) -> Schedule:
        if (self.rate is None) == (self.density is None):
            raise ValueError("give exactly one of `rate` (pruned per round) and `density` (kept at the end)")
        return self

    @property
    def by_kind(self) -> PrunedByKind | DensityByKind | None:
        """The shares of conv and linear layers, where they have budgets of their own."""
        fractions = self.rate if self.rate is not None else self.density
        return fractions if isinstance(fractions, PrunedByKind | DensityByKind) else None


class RewindTo(Section):
    """Rewinding to an early step of the first training."""

    step: int = Field(ge=1, description="Training step whose weights every round returns to.")


class Drawn(Masked):
    """A ticket drawn between trainings: when, how much, where, and what the survivors return to.

    `made_by` names a function (options, Subject) -> scores (ticketlab/tickets/subject.py). `scores_need` names what
    these look at beside weights: "networks", "inputs", "losses".
    """

    scores_need: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Refuses a method that looks at images and has no probe set to find them in: it is a `Probed`."""
        super().__pydantic_init_subclass__(**options)
        if cls.scores_need & {"inputs", "losses"} and "probe" not in cls.model_fields:
            raise TypeError(f"{cls.__name__} looks at inputs or losses, so it is a Probed, not a plain Drawn")

    schedule: Schedule = Field(description="How many rounds, and how much each prunes.")
    scope: Scope = Field(
        default=Global(),
        description="One threshold for all prunable weights of a network, one for each layer at equal density, or one "
        "for each layer at densities by Erdos-Renyi kernel.",
    )
    structure: Structure = Field(
        default=Weights(),
        description="What is pruned together: single weights, whole output channels, or n of every m inputs.",
    )
    round_steps: RoundSteps | None = Field(
        default=None,
        description="Training steps before each round's pruning; null is as long as `train.steps`, 0 scores the initial "
        "weights. A list has a number for each round, its last one for all that follow.",
    )
    rank: Literal["last", "ema"] = Field(
        default="last",
        description="Which weights are scored: the last iterate, or their exponential moving average (GANs).",
    )
    rewind: Literal["init", "none"] | RewindTo = Field(
        default="init",
        description="What survivors return to after each round: their initial values, those of an early step, or nothing.",
    )

    def settled(self, spec: Spec, at: Path) -> Self:
        """Rounds as long as the training, kinds of layer as the schedule names them."""
        steps = by_round(spec.train.steps if self.round_steps is None else self.round_steps, self.schedule.rounds)
        fewest = min(*steps, spec.train.steps)
        if isinstance(self.rewind, RewindTo) and self.rewind.step >= fewest:
            raise Impossible(
                (*at, "rewind", "step"),
                f"step {self.rewind.step} is not inside a training of {fewest} steps",
                mend="an earlier step, or longer rounds",
            )
        if self.rank == "ema" and spec.train.averaged_by is None:
            what = f"`{spec.train.name}` trains without a moving average"
            raise Impossible((*at, "rank"), what, mend="rank: last")
        named = self._kinds_named(spec, at)
        placed = super().settled(spec, at)
        update = {
            "scope": self.scope.settled(spec, (*at, "scope")),
            "structure": self.structure.settled(spec, (*at, "structure")),
            "layers": named or placed.layers,
            "round_steps": shortest(steps),
        }
        return placed.model_copy(update=update)

    @property
    def control_structure(self) -> StructureChoice:
        """The ticket's own."""
        return self.structure

    def _kinds_named(self, spec: Spec, at: Path) -> tuple[LayerKind, ...]:
        by_kind = self.schedule.by_kind
        if by_kind is None:
            return ()
        kinds: tuple[LayerKind, ...] = ("conv", "linear")
        named = tuple(kind for kind in kinds if getattr(by_kind, kind) is not None)
        if self.layers not in (None, named):
            raise Impossible((*at, "layers"), "the schedule names the kinds of layer already", mend="remove `layers`")
        if not named:
            section = "rate" if isinstance(by_kind, PrunedByKind) else "density"
            raise Impossible(
                (*at, "schedule", section), "neither conv nor linear is given", mend=f"{section}: {{conv: 0.2}}"
            )
        refuse_absent(named, spec, (*at, "schedule"))
        return named

    def works_through(self, classes: int) -> int:
        """Images that a network works through for the scores of a round, roughly, a backward pass counted as two forwards.

        One and back where scores look at networks and no images, as where all inputs are one.
        """
        return 3 if self.scores_need else 0

    def tiny(self) -> Self:
        """At most two rounds, after trainings of at most two steps."""
        rewind = RewindTo(step=1) if isinstance(self.rewind, RewindTo) else self.rewind
        schedule = self.schedule.model_copy(update={"rounds": min(self.schedule.rounds, SMOKE_ROUNDS)})
        steps = tuple(min(number, SMOKE_STEPS) for number in by_round(self.round_steps or 0, schedule.rounds))
        return self.model_copy(update={"round_steps": shortest(steps), "rewind": rewind, "schedule": schedule})
