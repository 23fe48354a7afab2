"""`model.init`: how the weights of a network start, where that is not left to the model's own paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ticketlab.spec.section import Choice, family


class Initialiser(Choice):
    """How convolutions and linear layers start; normalisation starts at scale 1 and shift 0.

    `made_by` names a function (options) -> Scheme (ticketlab/models/initialise.py).
    """

    bias: Literal["zero", "uniform", "normal"] = Field(
        default="zero",
        description="Biases: zero; uniform within 1/sqrt(fan in), as torch has it; or standard normal.",
    )


class KaimingNormal(Initialiser):
    """Normal, variance 2 / fan."""

    made_by: ClassVar[str] = "ticketlab.models.schemes:kaiming_normal"
    about: ClassVar[str] = "normal weights of variance 2 / fan"
    source: ClassVar[str] = "He et al. 2015, arXiv 1502.01852"

    kind: Literal["kaiming_normal"] = Field(default="kaiming_normal", description="Kaiming-normal weights.")
    fan: Literal["in", "out"] = Field(
        default="in", description="Which fan divides: in keeps the forward pass in scale."
    )


class XavierNormal(Initialiser):
    """Normal, variance 2 / (fan in + fan out)."""

    made_by: ClassVar[str] = "ticketlab.models.schemes:xavier_normal"
    about: ClassVar[str] = "normal weights of variance 2 / (fan in + fan out)"
    source: ClassVar[str] = "Glorot and Bengio 2010"

    kind: Literal["xavier_normal"] = Field(default="xavier_normal", description="Xavier-normal weights.")


class Normal(Initialiser):
    """Normal weights of one standard deviation, the DCGAN start."""

    made_by: ClassVar[str] = "ticketlab.models.schemes:normal"
    about: ClassVar[str] = "normal weights of one standard deviation"
    source: ClassVar[str] = "Radford et al. 2016, arXiv 1511.06434"

    kind: Literal["normal"] = Field(default="normal", description="Normal weights.")
    std: float = Field(default=0.02, gt=0, le=100, description="Standard deviation of every weight.")


class SignedConstant(Initialiser):
    """Plus or minus sqrt(2 / fan in): magnitudes all equal within a layer."""

    made_by: ClassVar[str] = "ticketlab.models.schemes:signed_constant"
    about: ClassVar[str] = "weights of random sign and one magnitude per layer, sqrt(2 / fan in)"
    source: ClassVar[str] = "Ramanujan et al. 2020, arXiv 1911.13299"

    kind: Literal["signed_constant"] = Field(default="signed_constant", description="Signed constant weights.")
    kept: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Density at which variance is to be kept: the fan is multiplied by it (scaled variant).",
    )


if TYPE_CHECKING:
    Initial = Initialiser
else:
    Initial = family("initialisers", "kind", KaimingNormal, XavierNormal, Normal, SignedConstant)
