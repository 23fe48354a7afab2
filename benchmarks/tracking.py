"""What the record costs a training: a row of every step to MLflow, an entry in the ledger, against no record at all.

    python benchmarks/tracking.py [--rounds 30] [--seconds 2] [--threads N]

First, the lab's loop trains in rounds of two kinds, interleaved in one process. A recorded one writes a row at every
step and appends a statement to a ledger at its end, as if it were a whole training; a bare one writes no row but its
last. Then recorded rounds go on while a real courier delivers their rows to a real MLflow database: the share of one
core that this takes bounds what it can cost a training that fills all cores (Linux). The sum is the cost.
"""

from __future__ import annotations

import argparse
import os
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
from ticketlab.tracking.cursor import Cursors, pending_rows
from ticketlab.tracking.outbox import Journal, Outbox, TrackedRun
from ticketlab.tracking.process import this_process
from ticketlab.tracking.store import store_of
from ticketlab.training.adversarial import hinge
from ticketlab.training.classification import cross_entropy

Loop = Callable[..., None]

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


def stated(loop: Loop, settings: Compute, chain: Chain) -> Loop:
    """The loop as one training whose result is stated."""

    def steps(count: int) -> None:
        loop(count, settings)
        chain.append(STATEMENT)

    return steps


def seconds(loop: Loop, steps: int) -> float:
    started = time.perf_counter()
    loop(steps)
    return (time.perf_counter() - started) / steps


def compare(name: str, make: Callable[[Compute, Path], Loop], threads: int | None, rounds: int, length: float) -> None:
    """Prints medians per step of both loops, the median of the ratios round by round, the courier's share, the sum."""
    with project() as root:
        bare = make(Compute(threads=threads, log_every=10**9), root)
        recorded = stated(bare, Compute(threads=threads, log_every=1), Chain(root / "ledger.jsonl"))
        loops = {"recorded": recorded, "bare": bare}
        for loop in loops.values():
            loop(3)
        steps = max(2, round(length / seconds(bare, 5)))
        times: dict[str, list[float]] = {label: [] for label in loops}
        for number in range(rounds):
            for label in list(loops)[:: 1 if number % 2 else -1]:
                times[label].append(seconds(loops[label], steps))
        share = courier_share(root, recorded, steps, rounds)
    medians = {label: statistics.median(found) * 1e3 for label, found in times.items()}
    ratio = statistics.median(one / other for one, other in zip(times["recorded"], times["bare"], strict=True))
    print(
        f"{name:22} recorded {medians['recorded']:8.2f} ms   bare {medians['bare']:8.2f} ms   in the loop {ratio - 1:+.3f}   "
        f"courier {share:.3f} of a core   cost {ratio - 1 + share:+.3f}",
        flush=True,
    )


def courier_share(root: Path, loop: Loop, steps: int, rounds: int) -> float:
    """Processor seconds per second of a courier that delivers what the loop writes, all rows from now on.

    What was written before is delivered first, so the share is that of a training at its usual pace.
    """
    courier = Courier(root)
    (process,) = map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
    outbox = Outbox.of(root)
    cursors = Cursors(outbox, store_of(root).name)
    while not (root / "mlflow.db").exists() or pending_rows(outbox, root, cursors):
        time.sleep(0.1)
    started, before = time.perf_counter(), processor_seconds(process)
    for _ in range(rounds):
        loop(steps)
    share = (processor_seconds(process) - before) / (time.perf_counter() - started)
    delivery = courier.finish(600)
    if delivery.problem or delivery.delivered < rounds * steps:
        raise SystemExit(f"{delivery.delivered} values were delivered: {delivery.problem}")
    return share


def processor_seconds(process: int) -> float:
    """User and system time of a process and its threads so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Compare two classifiers, one with steps of a millisecond, and a GAN."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a round is")
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
