"""SynFlow and SynFlow-L2: keep the weights that the network's flow goes through, without looking at data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ticketlab.tickets.flow import Flow
from ticketlab.tickets.path_state import path_state, plain_state
from ticketlab.tickets.probed import DTYPES, private_networks
from ticketlab.tickets.scope import of_each_network
from ticketlab.tickets.straight import require_proportional

if TYPE_CHECKING:
    from ticketlab.spec.foresight import SynFlow, SynFlowL2
    from ticketlab.tickets.subject import Subject


def scores(options: SynFlow | SynFlowL2, subject: Subject) -> dict[str, Tensor]:
    """The share of each weight in R, the sum over all paths to all outputs of the product of |w|^power; 0 where pruned.

    score = v dR/dv with v = |w|^power. The input is one image, or noise vector, of ones, so every ReLU is open; biases
    and shifts are dropped, batch normalisation scales by |gamma| / sqrt(variance + eps), a spectrally normalised layer
    weighs w / sigma with sigma constant, max-pools take their own maximum, and a last tanh is left out. Scores of a
    layer that all paths go through once sum to R. One forward and one backward pass per network, at batch size 1.
    Tanaka et al. 2020, arXiv 2006.05467, algorithm 1. TicketlabError for networks that are no sum over paths: asked once
    for the same weights, twice the input must give twice the flow.

    A network with conditional normalisation is one network for each class, and R the sum over all of them: no data say
    which classes there will be, so each counts once. The input is then an image of ones of every class.

    `released` instead takes |.|^power of every parameter and buffer, biases and running statistics too; SynFlow-L2 is
    then |w dR/d(w^2)|, with the first power of w.
    """
    squared_once = options.variant == "released" and options.power == 2
    checked = subject.memory.setdefault("straight", set())
    found: dict[str, Tensor] = {}
    for name, flow in _flows(options, subject).items():
        factors = flow.factors
        device = next(iter(factors.values())).device
        ones = torch.ones(flow.classes or 1, *subject.shape(name), dtype=DTYPES[options.precision], device=device)
        given = (ones,) if flow.classes is None else (ones, torch.arange(flow.classes, device=device))
        if options.variant == "recommended" and name not in checked:
            require_proportional(name, flow.outputs, given)
            checked.add(name)
        for (layer, factor), slope in zip(factors.items(), flow.slopes(*given), strict=True):
            value = factor.detach()
            found[layer] = slope.mul_(value.sqrt() if squared_once else value).abs_()
    return found


def _flows(options: SynFlow | SynFlowL2, subject: Subject) -> dict[str, Flow]:
    """Those of the round before, under the new mask, where that can be; at batch size 1 copies cost as much as passes."""
    flows: dict[str, Flow] = subject.memory.pop("flows", {})
    if not flows or not all(flow.under(subject.mask) for flow in flows.values()):
        flows.clear()
        networks = private_networks(subject, options.precision)
        for name, layers in of_each_network(subject.weights).items():
            flows[name] = Flow(networks[name], _state(options, networks[name]), layers, subject.mask)
    subject.memory["flows"] = flows
    return flows


def _state(options: SynFlow | SynFlowL2, network: nn.Module) -> dict[str, Tensor]:
    if options.variant == "released":
        return {entry: _to_power(value, options.power) for entry, value in plain_state(network).items()}
    return path_state(network, lambda _, factor: _to_power(factor, options.power))


def _to_power(factor: Tensor, power: int) -> Tensor:
    """|factor|^power in place: the network is private."""
    return factor.abs_() if power == 1 else factor.square_()
