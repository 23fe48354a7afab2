"""One round of drawing a ticket: scores of the weights, and the mask of those that are kept."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from ticketlab.models.prunable import prunable
from ticketlab.randomness import Key
from ticketlab.run.device import arrange
from ticketlab.run.steps.networks import initial_networks, load_networks, trained_weights
from ticketlab.run.steps.prepare import Data, training_of
from ticketlab.tickets.apply import MaskedWeights
from ticketlab.tickets.draw import draw_round, layer_collapse
from ticketlab.tickets.facts import TicketFacts
from ticketlab.tickets.file import read as read_ticket
from ticketlab.tickets.file import write as write_ticket
from ticketlab.tickets.mask import Mask
from ticketlab.tickets.scoring import score
from ticketlab.tickets.subject import Subject
from ticketlab.training.checkpoint import content_digest

if TYPE_CHECKING:
    from ticketlab.plan.steps import Draw, Step
    from ticketlab.run.workplace import Workplace


def perform(asked: Step, place: Workplace) -> None:
    """Write `ticket.safetensors`: the mask after this round, with where it comes from."""
    step = cast("Draw", asked)
    networks = initial_networks(step.model, step.images, step.seed, "init")
    initial = content_digest(_tensors(networks))
    _give_ranked_weights(networks, step, place)
    assert step.ticket.networks is not None, "the spec was not resolved"
    assert step.ticket.layers is not None, "the spec was not resolved"
    weights = prunable(networks, step.ticket.networks, step.ticket.layers)
    previous = _previous(place)
    shapes = {layer: tuple(weight.parameter.shape) for layer, weight in weights.items()}
    mask = previous or Mask.dense(shapes)
    subject = Subject(
        weights={layer: weight.parameter.detach() for layer, weight in weights.items()},
        mask=mask,
        key=Key(step.seed).of("draw", step.round),
        **_offers(step, place, networks, mask),
    )
    kinds = {layer: weight.kind for layer, weight in weights.items()}
    mask = draw_round(step.ticket, score(step.ticket, subject), kinds, previous, step.round)
    method = str(getattr(step.ticket, "method", type(step.ticket).__name__))
    write_ticket(place.out / "ticket.safetensors", mask, TicketFacts(method, step.round, step.seed, initial))
    place.log(
        step.round,
        {
            "density": float(mask.density),
            "smallest_layer_density": float(min(mask.layer_densities().values())),
            "collapsed_layers": float(len(layer_collapse(mask))),
        },
    )


def _offers(step: Draw, place: Workplace, networks: dict[str, nn.Module], mask: Mask) -> dict[str, Any]:
    """What the method's `scores_need` names: networks, and inputs and losses on batches of the training data.

    Batches are keyed, so every call sees the same ones; they are not augmented.
    """
    needs = step.ticket.scores_need
    device = arrange(step.compute)

    def private() -> dict[str, nn.Module]:
        copies = {name: device.place(copy.deepcopy(network)).eval() for name, network in networks.items()}
        live = prunable(copies, tuple(copies), ("conv", "linear"))
        MaskedWeights({layer: live[layer].parameter for layer in mask}, mask).impose()
        return copies

    offers: dict[str, Any] = {"networks": private} if needs else {}
    if needs & {"inputs", "losses"}:
        assert step.objective is not None, "the plan gives the objective to a method that needs batches"
        order = Key(step.seed).of("probe")
        plain = step.objective.model_copy(update={"augment": ()})
        training = training_of(Data(step.images, plain, order), private(), {}, order, place, device)
        offers |= {"inputs": lambda: training.inputs(0), "losses": training.losses}
    return offers


def _tensors(networks: dict[str, nn.Module]) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for name, network in networks.items() for key, value in network.state_dict().items()}


def _give_ranked_weights(networks: dict[str, nn.Module], step: Draw, place: Workplace) -> None:
    """Load the training that this round ranks; without one the initial weights are ranked."""
    path = place.input("weights", "weights.safetensors")
    if path is None:
        return
    trained = trained_weights(path)
    if getattr(step.ticket, "rank", "last") == "ema":
        averages = {name.removeprefix("ema."): value for name, value in trained.items() if name.startswith("ema.")}
        trained = {**trained, **averages}
    load_networks(networks, trained)


def _previous(place: Workplace) -> Mask | None:
    path = place.input("mask", "ticket.safetensors")
    return None if path is None else read_ticket(path)[0]
