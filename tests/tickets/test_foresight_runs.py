"""A run draws by every method that there is, a new one too, or refuses with a reason when the spec is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ticketlab.datasets.manifest import read_manifest
from ticketlab.datasets.synthetic import PREFIX, stand_in
from ticketlab.plan.steps import Draw, Images
from ticketlab.run.execute import Executor
from ticketlab.run.store import Store
from ticketlab.spec.catalog import KNOWN
from ticketlab.spec.compute import Compute
from ticketlab.spec.drawing import Drawn
from ticketlab.spec.impossible import Impossible
from ticketlab.spec.resolve import resolve
from ticketlab.spec.spec import Spec
from ticketlab.spec.ticket import Ticket
from ticketlab.tickets.file import read

METHODS: list[type[Drawn]] = [member for member in Ticket.members() if issubclass(member, Drawn)]
MODEL: dict[str, dict[str, Any]] = {
    "mlp": {"kind": "mlp", "hidden": [6]},
    "lenet": {"kind": "lenet", "channels": [4, 6], "hidden": [8]},
    "resnet-20": {"kind": "resnet", "depth": 20, "width": 4},
    "vgg-11": {"kind": "vgg", "depth": 11, "width": 4},
    "sngan": {"kind": "sngan", "width": 4, "critic_width": 4, "latent": 8},
}


@pytest.mark.parametrize("model", list(MODEL))
@pytest.mark.parametrize("method", METHODS)
def test_a_run_draws_by_every_method_or_refuses_with_a_reason(tmp_path: Path, method: type[Drawn], model: str) -> None:
    gan = model == "sngan"
    asked = {
        "name": "x",
        "data": {"dataset": "fashion-mnist", "size": 32},
        "model": MODEL[model],
        "ticket": {"method": method.model_fields["method"].default, "schedule": {"rounds": 2, "density": 0.25}},
        "train": {"objective": "hinge" if gan else "cross_entropy", "steps": 2, "batch": 8},
    }
    if gan:
        asked["ticket"]["networks"] = ["generator", "critic"]  # type: ignore[index]
    found = settled(asked)
    if isinstance(found, str):
        assert method.__name__ == "NtkSap"
        assert "another network" in found
        return
    masks = [drawn(found, tmp_path / name) for name in ("one", "two")]
    assert masks[0] == masks[1]
    assert abs(float(masks[0].density) - 0.25) < 1e-2


def settled(asked: dict[str, Any]) -> Spec | str:
    """The resolved spec, or why it is refused."""
    try:
        return resolve(Spec.model_validate(asked), KNOWN["fashion-mnist"])
    except Impossible as reason:
        return str(reason)


def drawn(spec: Spec, folder: Path) -> Any:
    data, ticket = spec.data, spec.ticket
    dataset = PREFIX + "fashion-mnist"
    stand_in(KNOWN["fashion-mnist"], folder)
    digest = read_manifest(folder, dataset).content
    images = Images(dataset, digest, 1, 10, data.size, data.fit, data.scaling)  # type: ignore[arg-type]
    step = Draw(
        seed=3,
        images=images,
        model=spec.model,
        ticket=ticket.tiny(),  # type: ignore[arg-type]
        first=1,
        round=2,
        compute=Compute(threads=1),
        objective=spec.train if getattr(ticket, "scores_need", ()) else None,
    )
    state = torch.get_rng_state()
    executor = Executor(lambda name: folder, Store(folder), lambda event: None, lambda: False)
    ticket_file = executor.ensure(step, "ticket").path("ticket.safetensors")
    assert torch.equal(torch.get_rng_state(), state)
    return read(ticket_file)[0]
