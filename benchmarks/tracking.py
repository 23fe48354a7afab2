"""What the record costs a training: a row of every step to MLflow, an entry in the ledger, against no record at all.

    python benchmarks/tracking.py [--rounds 12] [--seconds 12] [--threads N]

Two lab loops train the same networks, interleaved in one process. The recorded one writes a row at every step, which a
real courier delivers to a real MLflow database meanwhile, and appends a statement to a ledger at the end of every
round, as if that were a whole training. The other writes no row but its last, while the courier's process is stopped (Linux).
Rounds are longer than the courier's interval. Prints medians per step and their ratio, for a GAN and a classifier.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from overhead import lab_loop

from ticketlab.files import sha256_bytes
from ticketlab.ledger.chain import Chain
from ticketlab.spec.compute import Compute
from ticketlab.spec.model import Lenet, Mlp, Sngan
from ticketlab.spec.optimizer import Adam
from ticketlab.spec.train import CrossEntropy, Hinge
from ticketlab.tracking.courier import Courier
from ticketlab.tracking.cursor import Delivery
from ticketlab.tracking.outbox import Journal, Outbox, TrackedRun
from ticketlab.tracking.process import this_process
from ticketlab.training.adversarial import hinge
from ticketlab.training.classification import cross_entropy

Loop = Callable[[int], None]

STATEMENT = {"subject": [{"name": f"file {number}", "digest": {"sha256": "0" * 64}} for number in range(290)]}
"""As long as the statement of an arm of the quickstart."""


@contextmanager
def project() -> Iterator[Path]:
    """A project with one run, whose rows are in `journal.jsonl`."""
    with tempfile.TemporaryDirectory(prefix="ticketlab-tracking-") as folder:
        root = Path(folder)
        key = sha256_bytes(b"benchmark")
        run = TrackedRun(key, "benchmark", "recorded", journals=(Journal("journal.jsonl"),), process=this_process())
        Outbox.of(root).put(run)
        yield root


def recorded(loop: Loop, chain: Chain) -> Loop:
    """The loop as one training whose result is stated."""

    def steps(count: int) -> None:
        loop(count)
        chain.append(STATEMENT)

    return steps


def seconds(loop: Loop, steps: int) -> float:
    started = time.perf_counter()
    loop(steps)
    return (time.perf_counter() - started) / steps


def compare(name: str, make: Callable[[Compute, Path], Loop], threads: int | None, rounds: int, length: float) -> None:
    """Medians per step of both loops, and of the ratios round by round."""
    with project() as root:
        (root / "bare").mkdir()
        loops = {
            "recorded": recorded(make(Compute(threads=threads, log_every=1), root), Chain(root / "ledger.jsonl")),
            "bare": make(Compute(threads=threads, log_every=10**9), root / "bare"),
        }
        for loop in loops.values():
            loop(3)
        steps = max(2, round(length / seconds(loops["bare"], 5)))
        courier = Courier(root)
        (process,) = map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
        while not (root / "mlflow.db").exists():
            time.sleep(0.1)
        times: dict[str, list[float]] = {label: [] for label in loops}
        for number in range(rounds):
            for label in list(loops)[:: 1 if number % 2 else -1]:
                os.kill(process, signal.SIGCONT if label == "recorded" else signal.SIGSTOP)
                times[label].append(seconds(loops[label], steps))
        os.kill(process, signal.SIGCONT)
        report(name, times, rounds * steps, courier.finish(600))


def report(name: str, times: dict[str, list[float]], steps: int, delivery: Delivery) -> None:
    if delivery.problem or delivery.delivered < steps:
        raise SystemExit(f"{delivery.delivered} rows of {steps} were delivered: {delivery.problem}")
    ratio = statistics.median(one / other for one, other in zip(times["recorded"], times["bare"], strict=True))
    medians = {label: statistics.median(found) * 1e3 for label, found in times.items()}
    print(
        f"{name:24} recorded {medians['recorded']:8.2f} ms   bare {medians['bare']:8.2f} ms   ratio {ratio:.3f}   "
        f"{delivery.delivered} values delivered",
        flush=True,
    )


def main() -> None:
    """Compare two classifiers, one with steps of a millisecond, and a GAN."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=12.0, help="how long a round is")
    parser.add_argument("--threads", type=int, default=None)
    asked = parser.parse_args()
    adversarial = Hinge(steps=10**6, critic_optimizer=Adam(), n_critic=2, batch=32, generator_batch=32)
    classification = CrossEntropy(steps=10**6, batch=64, optimizer=Adam(lr=1e-3, beta1=0.9, beta2=0.999))
    gan, lenet, mlp = Sngan(width=64, critic_width=64), Lenet(channels=(16, 32), hidden=(128,)), Mlp()

    cases: dict[str, Callable[[Compute, Path], Loop]] = {
        "sngan 64, hinge": lambda compute, root: lab_loop(gan, adversarial, hinge, compute, root),
        "lenet, cross-entropy": lambda compute, root: lab_loop(lenet, classification, cross_entropy, compute, root),
        "mlp, cross-entropy": lambda compute, root: lab_loop(mlp, classification, cross_entropy, compute, root),
    }
    for name, make in cases.items():
        compare(name, make, asked.threads, asked.rounds, asked.seconds)


if __name__ == "__main__":
    main()
