"""Another release of a package that does sums makes other steps of those that use it; nothing is imported to know it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ticketlab
from ticketlab.datasets.manifest import promise
from ticketlab.plan.sources import releases
from ticketlab.spec.catalog import KNOWN

PAGE = """\
name: x
data: {dataset: fashion-mnist-mini, ratio: 0.5, size: 32}
model: {kind: sngan}
ticket: {method: magnitude, schedule: {rate: 0.5}}
train: {objective: hinge, steps: 3}
"""

DIGESTS = """
import json, sys
import ticketlab
steps = {step.digest: step.title for _, step in ticketlab.plan("page.yaml").plan.steps()}
assert not {"torch", "numpy", "torchvision"} & set(sys.modules)
print(json.dumps(steps))
"""


def digests(project: Path, *, packages: Path) -> dict[str, str]:
    """The steps of PAGE by digest, where the distributions below `packages` are found first."""
    code = f"import sys; sys.path.insert(0, {str(packages)!r})\n{DIGESTS}"
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def distribution(folder: Path, name: str, release: str) -> None:
    info = folder / f"{name}-{release}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n")


@pytest.mark.parametrize(("name", "without"), [("numpy", ["subset of 3000 images"]), ("torch", [])])
def test_another_release_makes_other_steps_of_all_that_use_it(name: str, without: list[str], tmp_path: Path) -> None:
    (tmp_path / "page.yaml").write_text(PAGE)
    (tmp_path / "none").mkdir()
    distribution(tmp_path / "other", name, "99.1")
    distribution(tmp_path / "unused", "rich", "99.1")
    here = digests(tmp_path, packages=tmp_path / "none")
    assert here == digests(tmp_path, packages=tmp_path / "unused")
    there = digests(tmp_path, packages=tmp_path / "other")
    assert list(there.values()) == list(here.values())
    assert [here[digest] for digest in there.keys() & here.keys()] == without


def test_a_package_counts_where_it_is_imported_and_nowhere_else() -> None:
    assert "numpy" in releases(("ticketlab.metrics.frechet",))
    assert set(releases(("ticketlab.errors",))) == set()
    assert set(releases(("ticketlab.randomness",))) == {"torch"}


def manifest_of(project: Path, **changes: object) -> None:
    """A pack's description under a name that ticketlab does not know, so that nothing but the file says what it holds."""
    pinned = promise(KNOWN["fashion-mnist-mini"])
    assert pinned is not None
    folder = project / "data" / "mine"
    folder.mkdir(parents=True, exist_ok=True)
    content = {**pinned.model_dump(mode="json"), "name": "mine", **changes}
    (folder / "dataset.json").write_text(json.dumps(content))


@pytest.mark.parametrize("moments", [{"mean": [0.25]}, {"std": [0.25]}])
def test_the_moments_by_which_pixels_are_scaled_are_part_of_every_step_on_the_images(
    moments: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / ".ticketlab").mkdir()
    file = tmp_path / "page.yaml"
    file.write_text(PAGE.replace("fashion-mnist-mini", "mine"))
    manifest_of(tmp_path)
    before = [step.digest for _, step in ticketlab.plan(file).plan.steps()]
    manifest_of(tmp_path, licence="another", source="elsewhere")
    assert [step.digest for _, step in ticketlab.plan(file).plan.steps()] == before
    manifest_of(tmp_path, **moments)
    assert not set(before) & {step.digest for _, step in ticketlab.plan(file).plan.steps()}
