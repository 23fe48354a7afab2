"""The `ticket` section: how the mask is drawn, phase 1 of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ticketlab.spec.section import Choice, Section, Share, family

Pruned = Annotated[float, Field(ge=0, lt=1)]
LayerKind = Literal["conv", "linear"]


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


class RewindTo(Section):
    """Rewinding to an early step of the first training."""

    step: int = Field(ge=1, description="Training step whose weights every round returns to.")


class NoTicket(Choice):
    """The dense network, trained as it is."""

    made_by: ClassVar[str] = ""
    about: ClassVar[str] = "no mask: the dense network"

    method: Literal["none"] = Field(default="none", description="No ticket: the dense network.")


class Drawn(Choice):
    """What all ways of drawing share: when, how much, where, and what the survivors return to.

    `scores_need` names what the scores look at beside weights: "networks", "inputs", "losses" (see tickets/subject.py).
    """

    scores_need: ClassVar[frozenset[str]] = frozenset()

    schedule: Schedule = Field(description="How many rounds, and how much each prunes.")
    scope: Literal["global", "layer"] = Field(
        default="global", description="One threshold for all prunable weights of a network, or one for each layer."
    )
    networks: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Which networks are pruned; null is the first of the model (generator, classifier).",
    )
    layers: tuple[LayerKind, ...] | None = Field(
        default=None,
        min_length=1,
        description="Kinds of layer whose weights may be pruned; null is the model's published set.",
    )
    round_steps: int | None = Field(
        default=None,
        ge=0,
        description="Training steps before each round's pruning; null is as long as `train.steps`, 0 scores the initial weights.",
    )
    rewind: Literal["init", "none"] | RewindTo = Field(
        default="init",
        description="What survivors return to after each round: their initial values, those of an early step, or nothing.",
    )


class Magnitude(Drawn):
    """Keep the weights of largest absolute value."""

    made_by: ClassVar[str] = "ticketlab.tickets.magnitude:scores"
    about: ClassVar[str] = (
        "absolute value of the trained weights; iterative with rewinding is the lottery-ticket search"
    )
    source: ClassVar[str] = "Frankle and Carbin 2019, arXiv 1803.03635; Chen et al. 2021, arXiv 2106.00134"

    method: Literal["magnitude"] = Field(default="magnitude", description="Magnitude pruning.")
    rank: Literal["last", "ema"] = Field(
        default="last",
        description="Which weights are ranked: the last iterate, or their exponential moving average (GANs).",
    )


class Random(Drawn):
    """Keep weights at random: the score is an independent uniform draw."""

    made_by: ClassVar[str] = "ticketlab.tickets.random:scores"
    about: ClassVar[str] = "independent uniform scores: random pruning"
    source: ClassVar[str] = "the control of every pruning paper"

    method: Literal["random"] = Field(default="random", description="Random pruning.")
    round_steps: int | None = Field(
        default=0, ge=0, description="Training steps before each round's pruning; 0 draws at initialisation."
    )


if TYPE_CHECKING:
    Ticket = Choice
else:
    Ticket = family("methods", "method", NoTicket, Magnitude, Random)

Arm = Literal["ticket", "dense", "random", "shuffled", "fresh_weights"]
