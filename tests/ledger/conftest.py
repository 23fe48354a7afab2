from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

import pytest

from ticketlab.ledger.facts import Artifact, Blob, Code, RunFacts, StepFact, Surroundings


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@pytest.fixture
def run_facts() -> RunFacts:
    """A run with every kind of fact in it; its statistics come from the store of another machine."""
    here = Surroundings(
        "cpu",
        {"torch": "2.14.1", "threads": 1},
        {"cpu": "A Processor", "cores": 2, "python": "CPython 3.11.9"},
        sha256(b'{"numpy":"2.1.0","torch":"2.14.1"}').hexdigest(),
    )
    there = Surroundings(
        "cuda", {"torch": "2.14.1", "threads": 8}, {"cpu": "Another", "python": "CPython 3.12.0"}, digest("others")
    )
    return RunFacts(
        run="b7e1c2",
        cell="quickstart-seed0",
        arm="ticket",
        subjects=(
            Artifact("mask", digest("mask"), path="runs/quickstart/mask.safetensors"),
            Artifact("metrics", digest("metrics"), path="runs/quickstart/metrics.json"),
        ),
        spec={
            "name": "quickstart",
            "seed": 0,
            "train": {"steps": 100, "augment": [{"kind": "flip"}]},
            "arms": ["ticket"],
        },
        spec_file=Artifact("spec", digest("spec"), path="specs/quickstart.yaml"),
        device="cpu",
        precision="fp32",
        determinism={"torch": "2.14.1", "threads": 1},
        machine={"cpu": "A Processor", "cores": 2, "python": "CPython 3.11.9"},
        code=Code(digest("sources"), "a" * 40, "b" * 40, Blob(digest("patch"), 5, kept=True), digest("meaning")),
        packages={"numpy": "2.1.0", "torch": "2.14.1"},
        data=(Artifact("fashion-mnist", digest("data"), md5="0" * 32 + ".dir", path="data/fashion-mnist"),),
        splits=(
            Artifact("fashion-mnist/train.safetensors", digest("split"), path="data/fashion-mnist/train.safetensors"),
        ),
        statistics=(Artifact("train", digest("statistics")),),
        extractors=(Artifact("lab_classifier", digest("extractor")),),
        starts=(Artifact("w.pth", digest("start"), origin="https://example.org/w.pth"),),
        steps=(
            StepFact("statistics", digest("measured"), {"statistics.npz": digest("statistics")}, there),
            StepFact(
                "train", digest("asked"), {"checkpoint": digest("checkpoint")}, here, {"statistics": digest("read")}
            ),
        ),
        metrics={"accuracy": 0.875, "loss": float("inf")},
        main_metric="accuracy",
        density=0.1074,
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        finished=datetime(2026, 1, 2, 3, 4, 6, 7, tzinfo=UTC),
    )
