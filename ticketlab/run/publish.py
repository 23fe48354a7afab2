"""Results where people look for them: `runs/<name>/`, made from the store and from nothing else."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from ticketlab.files import copy_atomically, remove_abandoned, sha256_file, write_atomically, write_json, write_listing
from ticketlab.plan.experiment import ArmAddress, Plan
from ticketlab.report.against_density import density_png
from ticketlab.report.curves import curves_png
from ticketlab.report.seeds import settings
from ticketlab.report.table import markdown
from ticketlab.run.journal import rows
from ticketlab.run.project import Project
from ticketlab.run.published import VERSIONED, ArmResult, place_of, place_of_statistics
from ticketlab.run.store import Store
from ticketlab.spec.matrix import cell_words
from ticketlab.tickets.file import read as read_ticket
from ticketlab.tickets.layers import FILE as LAYERS
from ticketlab.tickets.layers import Layers

_IN_STORE = {"statistics.npz": "statistics.npz", "extractor.safetensors": "weights.safetensors"}
"""What a published file of reference statistics is called where it was made."""


def arm_result(address: ArmAddress, store: Store) -> ArmResult:
    """Read the result of a finished arm from the store."""
    final = address.plan.final
    trained, evaluated = store.result(final.train), store.result(final.evaluate)
    found = {"weights.safetensors": (trained, "weights.safetensors"), "metrics.json": (evaluated, "metrics.json")}
    density, layers = 1.0, Layers()
    if final.mask is not None:
        drawn = store.result(final.mask)
        found["ticket.safetensors"] = (drawn, "ticket.safetensors")
        found[LAYERS] = (drawn, LAYERS)
        mask, _, _ = read_ticket(drawn.path("ticket.safetensors"))
        density = float(mask.density)
        layers = Layers.read(drawn.path(LAYERS))
    if "samples.png" in evaluated.files:
        found["samples.png"] = (evaluated, "samples.png")
    for result in map(store.result, final.measured()):
        for name in result.files:
            if name.startswith("samples-"):
                found[f"samples/{name.removeprefix('samples-')}"] = (result, name)
    files = {name: result.path(own) for name, (result, own) in found.items()}
    return ArmResult(
        name=address.name,
        axes=cell_words(address.cell.labels),
        arm=address.plan.arm,
        density=density,
        metrics=json.loads(files["metrics.json"].read_bytes()),
        files=files,
        # As they were when the step was finished: a file that was damaged since is not what was found.
        sha256={name: result.files[own] for name, (result, own) in found.items()},
        layer_densities=layers.densities,
        collapsed=layers.collapsed,
        multiply_adds=layers.network_multiply_adds,
    )


def publish_arm(plan: Plan, address: ArmAddress, result: ArmResult, project: Project) -> Path:
    """Bring an arm's own files up to date: tickets/<arm>/ (mask and weights, for DVC) and <arm>/ (all others).

    What a kill left half-written is removed. Returns the folder of the whole run, `runs/<name>/`.
    """
    folder = project.runs / plan.name
    remove_abandoned(folder)
    for name, path in result.files.items():
        _place(path, place_of(folder, result.name, name))
    for sample in (folder / result.name / "samples").glob("*.png"):
        if f"samples/{sample.name}" not in result.files:
            sample.unlink()
    write_json(folder / result.name / "spec.json", address.cell.spec.asks())
    return folder


def publish_overview(plan: Plan, results: Sequence[ArmResult], project: Project, store: Store) -> None:
    """Bring what is about all arms up to date: statistics/, metrics.json, curves.csv, results.md and the pictures.

    Tickets, statistics and arms of an earlier plan of the same name are removed, so that DVC versions what belongs
    together; of an arm that this plan has, but no result yet, what is there stays.
    """
    folder = project.runs / plan.name
    addresses = {address.name: address for address in plan.arms()}
    statistics = publish_statistics(plan, folder, store)
    _keep_only(folder / "statistics", statistics)
    versioned = {place_of(folder, arm.name, name) for arm in results for name in arm.files if name in VERSIONED}
    waiting = addresses.keys() - {arm.name for arm in results}
    _keep_only(folder / "tickets", versioned | {place_of(folder, arm, name) for arm in waiting for name in VERSIONED})
    _remove_other_arms(folder, set(addresses))
    write_listing(folder / "metrics.json", {r.name: {"density": r.density, **r.metrics} for r in results})
    journals = {result.name: _curve(addresses[result.name], store) for result in results}
    write_atomically(folder / "curves.csv", _curves_csv(journals))
    write_atomically(folder / "curves.png", curves_png(journals))
    against_density = density_png(settings(results))
    if against_density is None:
        (folder / "density.png").unlink(missing_ok=True)
    else:
        write_atomically(folder / "density.png", against_density)
    write_atomically(folder / "results.md", markdown(plan.name, results).encode())


def _remove_other_arms(folder: Path, arms: set[str]) -> None:
    """Remove the folders of arms that only an earlier plan of the same name had."""
    for spec in list(folder.rglob("spec.json")):
        if spec.parent.relative_to(folder).as_posix() not in arms:
            shutil.rmtree(spec.parent)


def _keep_only(folder: Path, wanted: set[Path]) -> None:
    """Remove files of earlier plans; what DVC and git keep there for themselves stays."""
    for path in sorted(folder.rglob("*.safetensors")) + sorted(folder.rglob("*.npz")):
        if path not in wanted:
            path.unlink()


def _curve(address: ArmAddress, store: Store) -> list[dict[str, float]]:
    """The rows of an arm's training, and what was measured at its end."""
    return [row for step in address.plan.final.measured() for row in rows(store.journal(step))]


def publish_statistics(plan: Plan, folder: Path, store: Store) -> set[Path]:
    """The reference statistics and their extractors, under `folder`/statistics/<digest>/; the places of all planned."""
    planned = set()
    for _, step in plan.steps():
        if step.kind != "statistics":
            continue
        made_by = {"statistics.npz": step}
        if "extractor" in step.inputs:
            made_by["extractor.safetensors"] = step.inputs["extractor"]
        for name, maker in made_by.items():
            place = place_of_statistics(folder, step, name)
            if store.has(step):
                _place(store.result(maker).path(_IN_STORE[name]), place)
            planned.add(place)
    return planned


def _place(source: Path, target: Path) -> None:
    """Copy a file unless an equal one is there."""
    if (
        target.exists()
        and target.stat().st_size == source.stat().st_size
        and sha256_file(target) == sha256_file(source)
    ):
        return
    copy_atomically(source, target)


def _curves_csv(journals: Mapping[str, Sequence[Mapping[str, float]]]) -> bytes:
    """All curves in one table: arm, step, then one column per metric."""
    names = sorted({name for found in journals.values() for row in found for name in row if name != "step"})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["arm", "step", *names])
    for arm, found in journals.items():
        for row in found:
            writer.writerow([arm, int(row["step"]), *(repr(row[name]) if name in row else "" for name in names)])
    return text.getvalue().encode()
