"""What a crew tells a member elsewhere: the steps of an arm as they were planned, which it does so or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from ticketlab.errors import EnvironmentProblem, StepFailed
from ticketlab.files import canonical_json
from ticketlab.plan.experiment import ArmAddress, Plan, plan_cell
from ticketlab.plan.step import digest_of
from ticketlab.plan.steps import Step
from ticketlab.run.crew import Alone, Job
from ticketlab.run.events import Listener
from ticketlab.run.project import Project
from ticketlab.run.store import Store
from ticketlab.spec.loading import Cell
from ticketlab.spec.spec import Spec


class Order(BaseModel):
    """Steps that somebody else is to do; JSON, so it can go to another process or machine.

    `spec` is the cell as it was resolved, `threads` what was counted where it was planned, `auto` the device that is
    meant there by that word (None where the spec names one). `planned` is all that counts of every step of the arm, in
    order, and `asked` the digests of those that are to be done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    cell: str
    arm: str
    spec: dict[str, Any]
    threads: int
    auto: str | None
    planned: list[dict[str, Any]]
    asked: list[str]

    @classmethod
    def of(cls, address: ArmAddress, steps: Sequence[Step] | None = None) -> Self:
        """To do these steps of an arm, by default all of them. StepFailed if code was edited since they were planned."""
        every, cell = tuple(address.plan.steps()), address.cell
        planned = [step.counting() for step in every]
        edited = next((step for step, now in zip(every, planned, strict=True) if digest_of(now) != step.digest), None)
        if edited is not None:
            raise StepFailed(
                f"code of `{edited.title}` was edited after it was planned",
                mend="start again: the same command, or a fresh Python",
            )
        return cls(
            cell=cell.name,
            arm=address.plan.arm,
            spec=cell.spec.asks(),
            threads=cell.threads,
            auto=_auto() if cell.spec.compute.device == "auto" else None,
            planned=planned,
            asked=[step.digest for step in (every if steps is None else steps)],
        )

    def text(self) -> str:
        """The order in one line."""
        return self.model_dump_json()

    @classmethod
    def read(cls, text: str) -> Self:
        """The order that `text` is. EnvironmentProblem if another release wrote it so that it cannot be read."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as refused:
            raise _other_code("order", _first(refused)) from refused

    def done(
        self,
        project: Project,
        store: Store,
        listener: Listener = lambda event: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Do what is asked, with the digests it was planned with, in the member's `project`, into the common `store`.

        Raises `EnvironmentProblem` before anything is done where this machine would do another step than was planned,
        with the field that differs and what to do; else as a crew's `arm` does.
        """
        address = self.address(project)
        cell = address.cell
        crew = Alone(Job(Plan(cell.spec.name, Path(cell.spec.name), "", (cell,)), project, store, listener, stopping))
        mine = {step.digest: step for step in address.plan.steps()}
        for digest in self.asked:
            crew.step(mine[digest], address)

    def address(self, project: Project) -> ArmAddress:
        """The arm as this machine plans it, which is as it was planned. EnvironmentProblem where it is not."""
        from ticketlab.run.device import chosen, refuse_fewer_threads

        try:
            spec = Spec.model_validate_json(json.dumps(self.spec), strict=True)
        except ValidationError as refused:
            raise _other_code("spec", _first(refused)) from refused
        here = chosen(spec.compute.device)
        if self.auto not in (None, here):
            raise EnvironmentProblem(
                f"`auto` is {self.auto} where the run was planned and {here} on this machine",
                where="compute.device",
                mend=f"name the device in the spec, `compute.device: {here}` say, or do the step where there is {self.auto}",
            )
        refuse_fewer_threads(self.threads)
        cell = plan_cell(Cell({}, self.cell, spec), project.home, self.threads)
        found = next((arm for arm in cell.arms if arm.arm == self.arm), None)
        if found is None:
            raise _other_code("arms", f"there is no arm `{self.arm}`")
        _compare(self.planned, [step.counting() for step in found.steps()])
        return ArmAddress(cell, found)


def _auto() -> str:
    from ticketlab.run.device import chosen

    return chosen("auto")


def _compare(planned: Sequence[Mapping[str, Any]], here: Sequence[Mapping[str, Any]]) -> None:
    """EnvironmentProblem that names the first field in which two plans differ; later steps follow from earlier ones."""
    nothing: Mapping[str, Any] = {}
    for number, (then, now) in enumerate(zip_longest(planned, here, fillvalue=nothing), 1):
        if digest_of(then) == digest_of(now):
            continue
        path, was, is_now = next(_differences(*(json.loads(canonical_json(side)) for side in (then, now))))
        kind = then.get("kind") or now.get("kind")
        raise EnvironmentProblem(
            f"step {number} ({kind}) would be another one: {path} is {is_now} here and was {was} where it was planned",
            where=path,
            mend=_mend(path, was),
        )


def _differences(then: object, now: object, path: str = "") -> Iterator[tuple[str, object, object]]:
    """The leaves that differ, by dotted path; a package's release first, since its code may follow from it."""
    if isinstance(then, Mapping) and isinstance(now, Mapping) and (path or (then and now)):
        for name in sorted(then.keys() | now.keys(), key=lambda name: (name != "releases", name)):
            yield from _differences(then.get(name), now.get(name), f"{path}.{name}" if path else name)
    elif then != now:
        yield path or "kind", _short(then), _short(now)


def _short(value: object) -> object:
    kind = value.get("kind", "nothing") if isinstance(value, Mapping) and "asks" in value else value
    return "nothing" if kind in (None, {}) else kind


def _mend(path: str, planned: object) -> str:
    head, _, name = path.partition(".")
    if head == "releases":
        return f"pip install {name}=={planned} here, or plan the run with the release that is here"
    if path in ("asks.images.digest", "asks.dataset_digest"):
        return "bring the very pack of images that the run was planned with to this machine's project"
    return "bring the code that planned the run to this machine: ticketlab, and the packages that add methods to it"


def _other_code(where: str, what: str) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"the ticketlab on this machine does not know what it is told: {what}", where=where, mend=_mend("source", "")
    )


def _first(refused: ValidationError) -> str:
    first = refused.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"`{'.'.join(map(str, first['loc']))}`: {first['msg']}"
