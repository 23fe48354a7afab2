"""The masks that a ticket is compared with: random ones of the same layer densities, shuffled ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from ticketlab.made import made
from ticketlab.randomness import Key
from ticketlab.tickets.file import read as read_ticket
from ticketlab.tickets.file import write as write_ticket
from ticketlab.tickets.layers import FILE as LAYERS
from ticketlab.tickets.layers import Layers
from ticketlab.tickets.structure import structure

if TYPE_CHECKING:
    from ticketlab.plan.steps import Control, Step
    from ticketlab.run.workplace import Workplace
    from ticketlab.tickets.mask import Mask


def perform(asked: Step, place: Workplace) -> None:
    """Write `ticket.safetensors`, the control's mask under the control's name, and `layers.json`."""
    step = cast("Control", asked)
    path, described = (place.input("mask", name) for name in ("ticket.safetensors", LAYERS))
    assert path is not None, "a control is drawn from a ticket"
    assert described is not None, "beside a ticket its layers are described"
    mask, facts, _ = read_ticket(path)
    name, key = step.control.name, Key(step.seed).of("control", step.control.name)
    control = cast("Mask", made(step.control.made_by)(mask, key, structure(step.structure)))
    Layers.read(described).after(control, facts.round).write(place.out / LAYERS)
    write_ticket(place.out / "ticket.safetensors", control, replace(facts, method=f"{name} of {facts.method}"))
