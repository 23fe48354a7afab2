"""SynFlow and SynFlow-L2: keep the weights that the network's flow goes through, without looking at data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import functional_call

from ticketlab.models.conditional import classes_told
from ticketlab.tickets.path_state import path_state, plain_state
from ticketlab.tickets.paths import Linear
from ticketlab.tickets.probed import DTYPES, gradient, own_name, private_networks
from ticketlab.tickets.scope import of_each_network

if TYPE_CHECKING:
    from ticketlab.spec.foresight import SynFlow, SynFlowL2
    from ticketlab.tickets.subject import Subject


def scores(options: SynFlow | SynFlowL2, subject: Subject) -> dict[str, Tensor]:
    """The share of each weight in R, the sum over all paths to all outputs of the product of |w|^power; 0 where pruned.

    score = v dR/dv with v = |w|^power. The input is one image, or noise vector, of ones, so every ReLU is open; biases
    and shifts are dropped, batch normalisation scales by |gamma| / sqrt(variance + eps), a spectrally normalised layer
    weighs w / sigma with sigma constant, max-pools take their own maximum, and a last tanh is left out. Scores of a
    layer that all paths go through once sum to R. One forward and one backward pass per network, at batch size 1.
    Tanaka et al. 2020, arXiv 2006.05467, algorithm 1.

    A network with conditional normalisation is one network for each class, and R the sum over all of them: no data say
    which classes there will be, so each counts once. The input is then an image of ones of every class.

    `released` instead takes |.|^power of every parameter and buffer, biases and running statistics too; SynFlow-L2 is
    then |w dR/d(w^2)|, with the first power of w.
    """
    networks = private_networks(subject, options.precision)
    squared_once = options.variant == "released" and options.power == 2
    found: dict[str, Tensor] = {}
    for name, layers in of_each_network(subject.weights).items():
        network = networks[name]
        if options.variant == "released":
            state = {entry: _to_power(value, options.power) for entry, value in plain_state(network).items()}
        else:
            state = path_state(network, lambda _, factor: _to_power(factor, options.power))
        flows = [state[own_name(layer)].requires_grad_() for layer in layers]
        classes = classes_told(network.modules())
        device = flows[0].device
        ones = torch.ones(classes or 1, *subject.shape(name), dtype=DTYPES[options.precision], device=device)
        given = (ones,) if classes is None else (ones, torch.arange(classes, device=device))
        with Linear():
            total = functional_call(network, state, given).sum()
        for layer, flow, slope in zip(layers, flows, gradient(total, flows), strict=True):
            value = flow.detach()
            found[layer] = (value.sqrt_() if squared_once else value).mul_(slope).abs_()
    return found


def _to_power(factor: Tensor, power: int) -> Tensor:
    """|factor|^power in place: the network is private, and at batch size 1 copies cost as much as passes."""
    return factor.abs_() if power == 1 else factor.square_()
