"""Tickets drawn before training by what a weight does for the loss, or for the paths that it lies on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from ticketlab.spec.drawing import Drawn
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.probed import Probed
from ticketlab.spec.round_steps import RoundSteps
from ticketlab.spec.task import GAN

if TYPE_CHECKING:
    from ticketlab.spec.positions import Path
    from ticketlab.spec.spec import Spec

Precision = Literal["float32", "float64"]
PRECISION = "Floating point in which scores are computed; the networks themselves keep theirs."


class ByLoss(Probed):
    """What scores share that are derivatives of the training loss, without label smoothing and augmentation."""

    scores_need: ClassVar[frozenset[str]] = frozenset({"networks", "losses"})

    mode: Literal["eval", "train"] = Field(
        default="eval",
        description="Whether batch normalisation uses its running statistics, or those of each batch. "
        "Dropout is off and spectral norms stand still in both.",
    )
    precision: Precision = Field(default="float32", description=PRECISION)

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses the statistics of batches of one image."""
        if self.mode == "train" and self.probe.batch < 2:
            what = "`mode: train` normalises by the statistics of each batch, and one image has none"
            raise Impossible((*at, "probe", "batch"), what, mend="a batch of at least 2, or mode: eval")
        return super().settled(spec, at)


class Snip(ByLoss):
    """Keep the weights whose removal would change the loss most, to first order."""

    made_by: ClassVar[str] = "ticketlab.tickets.snip:scores"
    about: ClassVar[str] = "connection sensitivity: |w dL/dw|, the loss's derivative in the mask"
    source: ClassVar[str] = "Lee et al. 2019, arXiv 1810.02340"

    method: Literal["snip"] = Field(default="snip", description="SNIP.")


class Grasp(ByLoss):
    """Keep the weights whose removal would most reduce the gradient's flow; prune those that hinder it."""

    made_by: ClassVar[str] = "ticketlab.tickets.grasp:scores"
    about: ClassVar[str] = "gradient flow: w (Hg), signed, through the Hessian of the loss"
    source: ClassVar[str] = "Wang et al. 2020, arXiv 2002.07376"
    looks: ClassVar[int] = 2

    method: Literal["grasp"] = Field(default="grasp", description="GraSP.")
    temperature: float = Field(
        default=200.0,
        gt=0,
        le=1e6,
        description="What logits, or a critic's scores, are divided by before the loss is taken.",
    )

    def passes(self) -> int:
        """Forward and back for g and again for Hg, and the backward of that backward, which counts as four."""
        return 10


class DataFree(Drawn):
    """What scores share that look at no image: all inputs are one."""

    scores_need: ClassVar[frozenset[str]] = frozenset({"networks"})

    variant: Literal["recommended", "released"] = Field(
        default="recommended",
        description="`recommended` drops every shift (biases, batch-norm shifts and means), so that flow is conserved; "
        "`released` is the published code, which keeps their magnitudes.",
    )
    precision: Precision = Field(
        default="float64", description=PRECISION + " The released code used float32, which deep networks overflow."
    )
    round_steps: RoundSteps | None = Field(
        default=0, description="Training steps before each round's pruning; 0 scores the initial weights."
    )


class SynFlow(DataFree):
    """Keep the weights that most of the network's flow of magnitudes goes through."""

    made_by: ClassVar[str] = "ticketlab.tickets.synflow:scores"
    about: ClassVar[str] = "synaptic flow: share of the sum over paths of |w|; no data; meant for 100 rounds"
    source: ClassVar[str] = "Tanaka et al. 2020, arXiv 2006.05467, algorithm 1"
    power: ClassVar[Literal[1, 2]] = 1

    method: Literal["synflow"] = Field(default="synflow", description="SynFlow.")


class SynFlowL2(DataFree):
    """Keep the weights that most of the network's flow of squares goes through."""

    made_by: ClassVar[str] = "ticketlab.tickets.synflow:scores"
    about: ClassVar[str] = "synaptic flow of squared weights: PX without data; meant for 100 rounds"
    source: ClassVar[str] = "Gebhart et al. 2021, arXiv 2101.10552 (SynFlow-L2)"
    power: ClassVar[Literal[1, 2]] = 2

    method: Literal["synflow_l2"] = Field(default="synflow_l2", description="SynFlow-L2.")


class NtkSap(Probed):
    """Keep the weights that hold up the spectrum of the neural tangent kernel, whatever values weights start from."""

    made_by: ClassVar[str] = "ticketlab.tickets.ntk_sap:scores"
    about: ClassVar[str] = "sensitivity of the tangent kernel's trace to each connection; random weights and inputs"
    source: ClassVar[str] = "Wang et al. 2023, arXiv 2304.02840 (NTK-SAP)"
    scores_need: ClassVar[frozenset[str]] = frozenset({"networks", "inputs"})

    method: Literal["ntk_sap"] = Field(default="ntk_sap", description="NTK-SAP.")
    draws: int = Field(
        default=5, ge=1, le=1000, description="Draws of weights, inputs and perturbations for each probe batch."
    )
    eps: float = Field(default=0.01, gt=0, le=1, description="Standard deviation of the perturbation of every weight.")
    precision: Precision = Field(
        default="float64",
        description=PRECISION
        + " In deep networks of random weights the rounding of float32 grows from layer to layer: fifty "
        "change a score by half a percent, and overflow on batches of a few small images. The released code used double "
        "for ImageNet's models only.",
    )

    def settled(self, spec: Spec, at: Path) -> Self:
        """Refuses generative adversarial networks, and images drawn for every pass: it looks at none."""
        if spec.model.trains == GAN:
            what = (
                "NTK-SAP redraws every weight by Kaiming's rule, which makes another network of a generator or of a "
                "spectrally normalised critic than the one that will be trained"
            )
            raise Impossible((*at, "method"), what, mend="px, synflow, snip, grasp")
        if self.probe.drawn != "once":
            what = "NTK-SAP takes from images their shape and number alone, and draws its inputs itself"
            raise Impossible((*at, "probe", "drawn"), what, mend="drawn: once")
        return super().settled(spec, at)

    def passes(self) -> int:
        """Three forward and two backward in every draw."""
        return 7 * self.draws

    def tiny(self) -> Self:
        """Also one draw, shaped like one image of each class."""
        probe = self.probe.model_copy(update={"per_class": 1})
        return super().tiny().model_copy(update={"probe": probe, "draws": 1})


class Px(Probed):
    """Keep the weights on the paths that bound the trace of the neural tangent kernel."""

    made_by: ClassVar[str] = "ticketlab.tickets.px:scores"
    about: ClassVar[str] = "path exclusion: data-weighted sum over paths of squared weights; meant for 100 rounds"
    source: ClassVar[str] = "Iurada et al. 2024, arXiv 2406.01820 (PX)"
    scores_need: ClassVar[frozenset[str]] = frozenset({"networks", "inputs"})

    method: Literal["px"] = Field(default="px", description="Path eXclusion.")
    variant: Literal["recommended", "px_eval", "px_cvpr24"] = Field(
        default="recommended",
        description="`recommended` is the paper's score; `px_eval` the released code of February 2025 with batch "
        "normalisation in eval mode; `px_cvpr24` the release of April 2024. The released ones go by the names that "
        "layers have there (batch normalisation with `bn` in it, a last layer with `fc`, keep their state) and keep biases: the "
        "lab's own models count as what they are called there, other networks by their own names, models that were "
        "not released by kind of layer.",
    )
    precision: Precision = Field(
        default="float64", description=PRECISION + " Sums over all paths of a deep network overflow float32."
    )

    def passes(self) -> int:
        """Two forward, for the gates and the ones, and at most one forward and one backward for the squares."""
        return 5
