"""What a method is offered of networks and images at hand: private copies, batches, losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ticketlab.errors import TicketlabError
from ticketlab.models.private_copies import PrivateCopies
from ticketlab.tickets.probed import batch_sizes

if TYPE_CHECKING:
    from ticketlab.spec.drawing import Drawn
    from ticketlab.tickets.pruner import Offers

Given = Tensor | Mapping[str, Tensor | tuple[Tensor, ...]]
"""Images for one network; or by network, and with the labels after them that a conditional network is told."""

Entering = Mapping[str, tuple[Tensor, ...]]
Losses = Callable[[Mapping[str, nn.Module], Entering, Tensor | None], Mapping[str, Tensor]]
"""From networks, what each is given in a batch and the labels of it to the scalar loss (a mean) of each network."""


def cross_entropy(networks: Mapping[str, nn.Module], given: Entering, labels: Tensor | None) -> dict[str, Tensor]:
    """The mean cross-entropy of each network's logits, (B, classes) or of every pixel (B, classes, H, W)."""
    assert labels is not None
    return {name: F.cross_entropy(network(*given[name]), labels) for name, network in networks.items()}


def offers(
    options: Drawn, networks: Mapping[str, nn.Module], images: Given | None, labels: Tensor | None, losses: Losses
) -> Offers:
    """What the method of `options` needs, of `networks` by name; TicketlabError where something lacks."""
    needs = options.scores_need
    if not needs:
        return lambda mask, number: {}
    copies = PrivateCopies(networks)
    given = _by_network(options, networks, images)
    shapes = {name: tuple(first.shape[1:]) for name, (first, *_) in given.items()}
    if not needs & {"inputs", "losses"}:
        return lambda mask, number: {"networks": copies.of_round(mask), "shapes": shapes}
    if losses is cross_entropy and "losses" in needs and (labels is None or len(networks) > 1):
        raise TicketlabError(
            f"{options.name} derives a loss, and there are no labels to have one of"
            if labels is None
            else f"{options.name} derives the losses of {', '.join(networks)}, which cross-entropy is not",
            mend="give `labels`, or `losses` where networks learn otherwise",
        )
    parts = _Batches(given, labels, options)
    return lambda mask, number: {"networks": copies.of_round(mask), "shapes": shapes, **parts.offered(losses)}


def _by_network(
    options: Drawn, networks: Mapping[str, nn.Module], images: Given | None
) -> dict[str, tuple[Tensor, ...]]:
    if images is None:
        raise TicketlabError(f"{options.name} looks at images, or at their shape", mend="give `images`")
    by_name = dict.fromkeys(networks, images) if isinstance(images, Tensor) else images
    if by_name.keys() != networks.keys():
        raise TicketlabError(
            f"images are given for {', '.join(by_name)}, and the networks are {', '.join(networks)}",
            mend="something to enter every network",
        )
    found = {name: (one,) if isinstance(one, Tensor) else one for name, one in by_name.items()}
    return {name: tuple(part.to(_like(networks[name]).device) for part in found[name]) for name in networks}


def _like(network: nn.Module) -> Tensor:
    """A tensor of the network, in its precision and place."""
    return next(parameter for parameter in network.parameters() if parameter.is_floating_point())


class _Batches:
    """What is given, batch by batch: as many labels as images, for every network."""

    def __init__(self, given: Entering, labels: Tensor | None, options: Drawn) -> None:
        everything = [part for entering in given.values() for part in entering] + ([] if labels is None else [labels])
        counts = {len(part) for part in everything}
        count = counts.pop()
        if counts or count == 0:
            raise TicketlabError(
                f"images and labels are not equally many: {', '.join(str(len(p)) for p in everything)}"
            )
        probe = getattr(options, "probe", None)
        self.sizes = batch_sizes(count, count if probe is None else probe.batch)
        self.given = {name: [torch.split(part, self.sizes) for part in entering] for name, entering in given.items()}
        self.labels = None if labels is None else torch.split(labels.to(everything[0].device), self.sizes)

    def inputs(self, number: int) -> dict[str, tuple[Tensor, ...]]:
        return {name: tuple(part[number] for part in entering) for name, entering in self.given.items()}

    def offered(self, losses: Losses) -> dict[str, Any]:
        def of_batch(networks: Mapping[str, nn.Module], number: int) -> Mapping[str, Tensor]:
            given = {name: _alike(parts, _like(networks[name])) for name, parts in self.inputs(number).items()}
            return losses(networks, given, None if self.labels is None else self.labels[number])

        return {"batches": tuple(self.sizes), "inputs": self.inputs, "losses": of_batch}


def _alike(parts: tuple[Tensor, ...], other: Tensor) -> tuple[Tensor, ...]:
    """Images or noise in the precision of another tensor, labels as they are."""
    return tuple(part.to(other.dtype) if part.is_floating_point() else part for part in parts)
