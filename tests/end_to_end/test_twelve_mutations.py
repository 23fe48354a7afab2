"""One thing about a recorded run is made another, in twelve ways; `ticketlab verify` finds it and names that cause."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from ticketlab.ledger.chain import Chain
from ticketlab.ledger.statement import verdict

REPOSITORY = Path(__file__).parents[2]
RUN = "runs/tiny-gan"
IDENTICAL, DIFFERS, REFUSED = 0, 5, 1


def flip(path: Path, at: float = 0.9) -> None:
    """Another bit, `at` of the way through a file."""
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1
    path.chmod(0o644)  # DVC's files are read-only
    path.write_bytes(content)


def replaced(path: Path, found: str, other: str) -> None:
    text = path.read_text()
    assert found in text, f"{found} is not in {path.name}"
    path.write_text(text.replace(found, other, 1))


def edited_code(root: Path, module: str, found: str, other: str) -> dict[str, str]:
    """The package with one line of it changed, in place of the package."""
    shutil.copytree(
        REPOSITORY / "ticketlab", root.parent / "edited" / "ticketlab", ignore=shutil.ignore_patterns("__pycache__")
    )
    replaced(root.parent / "edited" / module, found, other)
    return {"PYTHONPATH": str(root.parent / "edited")}


def another_default(root: Path) -> dict[str, str]:
    return edited_code(root, "ticketlab/spec/train.py", "default=0.999", "default=0.99")


def another_source_line(root: Path) -> dict[str, str]:
    return edited_code(root, "ticketlab/training/average.py", "1.0 - self._decay", "1.5 - self._decay")


def before_anything_else(root: Path, statements: str) -> dict[str, str]:
    """Statements that Python executes when it starts."""
    (root.parent / "edited").mkdir()
    (root.parent / "edited" / "sitecustomize.py").write_text(statements)
    return {"PYTHONPATH": os.pathsep.join([str(root.parent / "edited"), str(REPOSITORY)])}


def another_torch(root: Path) -> dict[str, str]:
    """Something that calls itself another torch; the arithmetic is the same."""
    return before_anything_else(root, "import torch\ntorch.__version__ = '2.99.0'\n")


def two_threads(root: Path) -> dict[str, str]:
    """A torch that works with two threads, whatever it is told."""
    statements = "import torch\nset_them = torch.set_num_threads\ntorch.set_num_threads = lambda number: set_them(2)\n"
    return before_anything_else(root, statements)


def in_spec(found: str, other: str) -> Callable[[Path], None]:
    return lambda root: replaced(root / "specs" / "tiny-gan.yaml", found, other)


def in_file(place: str, at: float = 0.9) -> Callable[[Path], None]:
    def harm(root: Path) -> None:
        (path,) = root.glob(place)
        flip(path, at)

    return harm


def another_metric(root: Path) -> None:
    path = root / RUN / "ticket" / "metrics.json"
    found = json.loads(path.read_bytes())
    name = next(name for name in found if name.startswith("fd_"))
    path.write_text(json.dumps(found | {name: found[name] + 1}))


@dataclass(frozen=True)
class Mutation:
    """What is made another, what is asked, and what the answer says."""

    harm: Callable[[Path], dict[str, str] | None]
    code: int
    says: str
    asked: str = "specs/tiny-gan.yaml"


MUTATIONS = {
    "a default": Mutation(another_default, REFUSED, r"`train\.ema` was 0\.999 and is 0\.99"),
    "a seed": Mutation(in_spec("name: tiny-gan", "name: tiny-gan\nseed: 1"), REFUSED, "`seed` was 0 and is 1"),
    "a data byte": Mutation(in_file("data/*/train.safetensors"), DIFFERS, "train.safetensors.*sha256"),
    "a source line": Mutation(
        another_source_line,
        DIFFERS,
        r"why: code: meaning(.|\n)*why: code: ticketlab/training/average\.py(.|\n)*"
        r"first: \d\. round 1: train before pruning  \[\w+\.safetensors: tensor ",
    ),
    "the threads": Mutation(in_spec("threads: 1", "threads: 2"), REFUSED, r"`compute\.threads` was 1 and is 2"),
    "the torch version": Mutation(
        another_torch,
        IDENTICAL,
        rf"though: environment: torch: '{re.escape(str(torch.__version__))}' then, '2\.99\.0' now\n +IDENTICAL",
    ),
    "a mask bit": Mutation(in_file(f"{RUN}/tickets/*/ticket.safetensors"), DIFFERS, "DIFFERS .*ticket.safetensors"),
    "a statistics value": Mutation(in_file(f"{RUN}/statistics/*/statistics.npz"), DIFFERS, "DIFFERS .*statistics.npz"),
    "an extractor weight": Mutation(
        in_file(f"{RUN}/statistics/*/extractor.safetensors"), DIFFERS, "DIFFERS .*extractor.safetensors"
    ),
    "a metric value": Mutation(another_metric, DIFFERS, r"first: file metrics\.json .*: fd_\S+ \S+ then, \S+ now"),
    "a checkpoint bit": Mutation(
        in_file(f"{RUN}/tickets/*/weights.safetensors"), DIFFERS, "DIFFERS .*weights.safetensors"
    ),
    "a ledger line": Mutation(
        in_file("ledger.jsonl", 0.5), REFUSED, r"ledger\.jsonl, line \d: the line (does not match its seal|is not JSON)"
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", MUTATIONS)
def test_the_cause_is_named(copied: Any, name: str) -> None:
    mutation = MUTATIONS[name]
    environment = mutation.harm(copied.root) or {}
    answer = copied.place.ticketlab("verify", mutation.asked, **environment)
    said = answer.out + answer.err
    assert (answer.code, "Traceback" in said) == (mutation.code, False), said
    assert re.search(mutation.says, said), said


@pytest.mark.long
def test_another_number_of_threads_than_was_recorded_is_named(copied: Any) -> None:
    """What it does to the bits is the machine's affair; that it is another is said in any case."""
    answer = copied.place.ticketlab("verify", "specs/tiny-gan.yaml", **two_threads(copied.root))
    assert answer.code in (0, 4, 5), answer.err
    assert re.search(r"(why|though): environment: threads: 1 then, 2 now", answer.out), answer.out


@pytest.mark.long
def test_untouched_it_is_identical(copied: Any) -> None:
    answer = copied.place.ticketlab("verify", "specs/tiny-gan.yaml")
    assert (answer.code, "DIFFERS" in answer.out) == (0, False), answer.out + answer.err
    *_, stated = Chain(copied.root / "ledger.jsonl").entries()
    assert verdict(stated.statement).causes == ()


@pytest.mark.long
def test_a_clone_without_its_images_has_them_pulled(copied: Any) -> None:
    shutil.rmtree(copied.root / "data" / "fashion-mnist-mini")
    answer = copied.place.ticketlab("verify", "specs/tiny-gan.yaml")
    assert (answer.code, "pulling data/fashion-mnist-mini" in answer.out) == (0, True), answer.out + answer.err
