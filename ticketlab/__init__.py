"""ticketlab: lottery-ticket and pruning experiments from one page of YAML, with a ledger that can prove every result.

>>> import ticketlab
>>> experiment = ticketlab.plan("specs/quickstart.yaml")
>>> outcome = ticketlab.run(experiment)
>>> outcome.results[0].metrics

Scores, masks and tickets of a torch network that is at hand, without a spec: `scores`, `mask_from_scores`, `draw_ticket`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before the functions of these names: a package that is imported later would take the place of its function here.
import ticketlab.plan
import ticketlab.run  # noqa: F401

if TYPE_CHECKING:
    from ticketlab.run.events import Event
    from ticketlab.run.experiment import Experiment, Outcome
    from ticketlab.spec.loading import LoadedSpec
    from ticketlab.tickets.prune import draw_ticket, mask_from_scores, scores

__all__ = ["draw_ticket", "load_spec", "mask_from_scores", "plan", "run", "scores"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What needs torch, when it is asked for."""
    if name in ("draw_ticket", "mask_from_scores", "scores"):
        return getattr(import_module("ticketlab.tickets.prune"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_spec(file: str | Path, overrides: Sequence[str] = ()) -> LoadedSpec:
    """Read and check a spec without importing torch.

    `overrides` are "path=value" texts. Raises `ticketlab.errors.SpecError` with file, line and column.
    """
    from ticketlab.run.reading import load_spec as load

    return load(Path(file), overrides)


def plan(file: str | Path, overrides: Sequence[str] = (), *, smoke: bool = False) -> Experiment:
    """Read a spec and plan its steps; `smoke` plans a tiny version of it in a store of its own."""
    from ticketlab.run.experiment import open_experiment

    return open_experiment(Path(file), overrides, to_smoke=smoke)


def run(
    experiment: Experiment | str | Path,
    *,
    fresh: bool = False,
    listener: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Do what a spec asks and is not done yet; what it found, arm by arm.

    `listener` is called with every event of the run. An arm that fails is in the outcome's `failures`.
    """
    from ticketlab.run.experiment import run as run_experiment

    opened = plan(experiment) if isinstance(experiment, str | Path) else experiment
    return run_experiment(opened, listener, fresh=fresh)
