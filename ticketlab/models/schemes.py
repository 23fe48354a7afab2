"""The initialisers a spec may name for any model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ticketlab.models import initialise
from ticketlab.models.initialise import Draw, Scheme, constant, fans, uniform
from ticketlab.models.prunable import layer_kind, raw_weight

if TYPE_CHECKING:
    from ticketlab.spec.initial import Initialiser, KaimingNormal, Normal, SignedConstant, XavierNormal


def kaiming_normal(options: KaimingNormal) -> Scheme:
    """N(0, 2 / fan); He et al. 2015."""
    return _scheme(options, initialise.kaiming_normal(options.fan))


def xavier_normal(options: XavierNormal) -> Scheme:
    """N(0, 2 / (fan in + fan out)); Glorot and Bengio 2010."""
    return _scheme(options, initialise.xavier_normal())


def normal(options: Normal) -> Scheme:
    """N(0, std^2), the same for every layer; Radford et al. 2016."""
    return _scheme(options, initialise.normal(0.0, options.std))


def signed_constant(options: SignedConstant) -> Scheme:
    """+-sqrt(2 / (kept * fan in)), signs independent and even; Ramanujan et al. 2020, section 4."""

    def draw(shape: torch.Size, generator: torch.Generator) -> Tensor:
        signs = torch.randint(0, 2, shape, generator=generator, device="cpu").mul_(2).sub_(1)
        return signs.float().mul_(math.sqrt(2 / (options.kept * fans(shape)[0])))

    return _scheme(options, draw)


def _scheme(options: Initialiser, weight: Draw) -> Scheme:
    """`weight` for convolutions and linear layers, scale 1 and shift 0 for normalisation; it is asked for no others."""

    def scheme(layer: nn.Module) -> tuple[Draw, Draw]:
        if layer_kind(layer) is None:
            return constant(1.0), constant(0.0)
        return weight, _bias(options, raw_weight(layer)[1].shape)

    return scheme


def _bias(options: Initialiser, weight: torch.Size) -> Draw:
    if options.bias == "zero":
        return constant(0.0)
    return initialise.normal() if options.bias == "normal" else uniform(1 / math.sqrt(fans(weight)[0]))
