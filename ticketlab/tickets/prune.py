"""Scores, masks and tickets of any torch network that is at hand, without a spec, a run or a store.

>>> options = Snip(schedule=Schedule(density=0.1), scope="erk")
>>> found = scores(options, network, images, labels)
>>> mask = mask_from_scores(options, found)
>>> ticket = draw_ticket(SynFlow(schedule=Schedule(rounds=100, density=0.02)), network, images[:1])

`options` are those that a spec has under `ticket`: classes of `ticketlab.spec.ticket` and `ticketlab.spec.foresight`, or of a
package. Of them, what concerns training (`round_steps`, `rank`, `rewind`) and the choice of images (`probe.drawn`, `probe.per_class`) has no
effect: the weights at hand are scored, on the images given. The network is only read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ticketlab.errors import TicketlabError
from ticketlab.randomness import Key
from ticketlab.tickets.draw import draw_round
from ticketlab.tickets.given import Given, Losses, cross_entropy, offers
from ticketlab.tickets.masked import masked_weights
from ticketlab.tickets.pruner import Pruner

if TYPE_CHECKING:
    from ticketlab.spec.drawing import Drawn
    from ticketlab.spec.masked import LayerKind
    from ticketlab.tickets.mask import Mask

LONE = "classifier"
"""What a network is called that is given without a name."""

Networks = nn.Module | Mapping[str, nn.Module]


def scores(
    options: Drawn,
    network: Networks,
    images: Given | None = None,
    labels: Tensor | None = None,
    *,
    mask: Mask | None = None,
    seed: int = 0,
    round: int = 1,
    losses: Losses = cross_entropy,
) -> dict[str, Tensor]:
    """The scores of all prunable weights in one round, on the CPU, by "<network>.<parameter>"; the highest are kept.

    network: a module, called `classifier`, or modules by name, of which `options.networks` are scored, by default the
        first. Prunable are the weights of convolutions and linear layers, or those of `options.layers`; whole channels
        of all but its last layer.
    images: (B, ...) on any device, scaled as the network expects them; of a generator, noise. Methods without data look
        only at their shape; magnitude and random need none. Batches have `options.probe.batch` images, in order.
    labels: int64 (B) or (B, H, W), for methods that derive a loss.
    mask: what the round before kept; None is everything. `seed` and `round` are the address of random draws.
    losses: what is derived, for networks that learn otherwise than by cross-entropy, as a generator and its critic.

    All is done to private copies in eval mode, but for batch normalisation where `options.mode` is `train`. Neither
    parameters, buffers, gradients, modes nor hooks of the network change, nor any random generator unless its own
    forward pass draws. Hooks are part of what it computes, and run. TicketlabError where the method lacks what it needs.
    """
    work = pruner(options, network, images, labels, seed=seed, losses=losses)
    _refuse_other_layers(work, mask)
    with torch.inference_mode(mode=False), torch.enable_grad():
        return work.scores(mask or work.dense(), round)


def mask_from_scores(options: Drawn, scores: Mapping[str, Tensor], *, mask: Mask | None = None, round: int = 1) -> Mask:
    """The mask after a round, from scores of whatever origin: `schedule`, `scope` and `structure` of `options` decide.

    Scores are floating point, by "<network>.<parameter>": layers of different networks share no threshold. Those of two
    dimensions are linear layers, the others convolutions, and `structure` takes the first for outputs, the second for inputs,
    which transposed convolutions have the other way round. Of what `mask` kept (None: everything) the highest stay, exactly
    as many as the schedule has after `round`; the first of equal ones in the order of `scores`. TicketlabError where that cannot be, as for
    fewer weights in `mask` than are to be kept.
    """
    kinds: dict[str, LayerKind] = {layer: "linear" if one.dim() == 2 else "conv" for layer, one in scores.items()}
    try:
        return draw_round(options, scores, kinds, mask, round)
    except (ValueError, TypeError) as problem:
        raise TicketlabError(f"no mask can be made of these scores: {problem}") from problem


def draw_ticket(
    options: Drawn,
    network: Networks,
    images: Given | None = None,
    labels: Tensor | None = None,
    *,
    seed: int = 0,
    losses: Losses = cross_entropy,
) -> Mask:
    """The mask after all rounds of `options.schedule`, each scored under the mask of the one before; as `scores` otherwise.

    Bit for bit that of a run's drawing step with the same weights, images, batches, seed and arithmetic. A layer may end up
    empty: `ticketlab.tickets.draw.layer_collapse` names those.
    """
    work = pruner(options, network, images, labels, seed=seed, losses=losses)
    mask = work.dense()
    with torch.inference_mode(mode=False), torch.enable_grad():
        for number in range(1, options.schedule.rounds + 1):
            mask = work.tightened(mask, number)
    return mask


def pruner(
    options: Drawn,
    network: Networks,
    images: Given | None = None,
    labels: Tensor | None = None,
    *,
    seed: int = 0,
    losses: Losses = cross_entropy,
) -> Pruner:
    """The method at work on a network, for whoever goes through the rounds one by one; arguments as of `scores`."""
    networks = {LONE: network} if isinstance(network, nn.Module) else dict(network)
    return Pruner(
        options, masked_weights(options, networks), offers(options, networks, images, labels, losses), Key(seed)
    )


def _refuse_other_layers(work: Pruner, mask: Mask | None) -> None:
    if mask is not None and mask.shapes() != work.dense().shapes():
        odd = sorted(mask.shapes().items() ^ work.dense().shapes().items())
        raise TicketlabError(
            f"the mask is not one of these weights; they differ in {', '.join(dict.fromkeys(layer for layer, _ in odd))}",
            mend="the same networks and kinds of layer as the mask was drawn with",
        )
