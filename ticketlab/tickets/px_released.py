"""The scores that released versions of PX compute, for reproducing numbers made with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ticketlab.models.released_names import named_in_release
from ticketlab.tickets.path_state import SINGULAR, plain_state
from ticketlab.tickets.paths import Linear, Retraced, Trace, through_paths
from ticketlab.tickets.probed import gradient_of_sum, set_mode


def eval_scores(network: nn.Module, kept: Mapping[str, Tensor], images: Iterable[tuple[Tensor, ...]]) -> list[Tensor]:
    """|dR/dv| theta^2 of the weights named in `kept`: the code of February 2025, its copies in eval mode.

    R = sum z1 z2, z1 from ones (where kept) on x^2 through the gates, z2 from v = theta^2 on ones without ReLU. Every
    parameter and buffer is replaced so, biases as well, but for those with `bn` or `fc` in their released name
    (`ticketlab.models.released_names`), which stay as they are; max-pools choose for themselves. As published, with copies that train batch normalisation on equal
    inputs, the gradient is zero and scores are rounding noise. Passes as in the recommended form.
    """
    plain = plain_state(network)
    stays = named_in_release(network, "bn") | named_in_release(network, "fc")
    changed = {name: value for name, value in plain.items() if name not in stays and not name.endswith(SINGULAR)}
    ones = plain | {name: torch.ones_like(value) for name, value in changed.items()}
    ones |= {name: torch.empty_like(plain[name]).copy_(kept[name]) for name in kept if name in changed}
    squares = {name: value.square() if name in changed else value.clone() for name, value in plain.items()}
    flows = [squares[name].requires_grad_() for name in kept]
    terms = (through_paths(network, ones, squares, batch, routed=False) for batch in images)
    slopes = gradient_of_sum(terms, flows)
    return [slope.abs() * plain[name].square() for name, slope in zip(kept, slopes, strict=True)]


def cvpr24_scores(network: nn.Module, names: list[str], images: Iterable[tuple[Tensor, ...]]) -> list[Tensor]:
    """|dR/dv| |theta|^5 of the weights named: the code of April 2024.

    R = sum z1 z2, z1 the network's own outputs (the fill with ones acted on a temporary), z2 from v = theta^2 on x
    without ReLU; both use batch statistics. Every parameter and buffer without `bn` in its released name is squared, biases as
    well. One forward pass of the network, and one forward and one backward of its copy, per batch.
    """
    plain = plain_state(network)
    stays = named_in_release(network, "bn")
    squares = {name: value.clone() if name in stays else value.square() for name, value in plain.items()}
    flows = [squares[name].requires_grad_() for name in names]
    set_mode(network, "train")

    def terms() -> Iterator[Tensor]:
        for batch in images:
            with torch.no_grad(), Linear():
                outputs = network(*batch)
            with Retraced(Trace(), gated=False, routed=False):
                strengths = functional_call(network, squares, batch)
            yield (outputs * strengths).sum()

    slopes = gradient_of_sum(terms(), flows)
    return [slope.abs() * plain[name].abs() ** 5 for name, slope in zip(names, slopes, strict=True)]
