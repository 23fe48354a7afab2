"""Killed at any instant and started again, a run ends with the same bits, a sound ledger and every row in MLflow once.

    python tests/end_to_end/kill_test.py --kills 50 --spec specs/quickstart.yaml [--set train.steps=40] [--seed 1]

The spec is run undisturbed in one temporary project and killed in another: half of the kills at random instants, half
just after a file appeared or changed in the place that was chosen for them. When the killed project is finished before
the kills are used up, it is compared, and a fresh one is begun.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "ticketlab")
OF_MLFLOW = ("mlflow.db", "mlflow.db-journal")
TARGETS = (
    *(".ticketlab/work", ".ticketlab/store", ".ticketlab/journals", ".ticketlab/outbox", "runs", "ledger.jsonl"),
    *OF_MLFLOW,
    "dvc.lock",
)
OF_THE_REPOSITORY = (
    *(".gitignore", ".dvcignore", "data.dvc", ".dvc/config", ".dvc/.gitignore", ".dvc/remote"),
    *("data", "specs/datasets.json"),
)
SAVE_ALWAYS = "compute.checkpoint_seconds=0"
PATIENCE = 600.0


@dataclass
class Lab:
    """A temporary project with one spec, run by the command line."""

    root: Path
    spec: Path
    starts: int = 0
    output: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, root: Path, spec: Path, changes: Sequence[str]) -> Lab:
        """A project under git, and under DVC as this repository is, with its images or the remote they come from.

        The changes stand in its spec, not on the command line: results of a spec run as it is are DVC's stage.
        """
        root.mkdir(parents=True)
        for name in OF_THE_REPOSITORY:
            source, target = REPOSITORY / name, root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.exists():
                shutil.copy(source, target)
        name = write_spec(spec, root, (SAVE_ALWAYS, *changes))
        for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Begin"]):
            subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)
        return cls(root, root / "specs" / f"{name}.yaml")

    @property
    def runs(self) -> Path:
        """The one folder of results."""
        (folder,) = (self.root / "runs").iterdir()
        return folder

    def start(self) -> subprocess.Popen[str]:
        """`ticketlab run SPEC`, its output read by a thread."""
        self.starts += 1
        self.output = []
        process = subprocess.Popen(
            [*COMMAND, "run", str(self.spec)],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        return process

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.output.extend(process.stdout)

    def finish(self) -> None:
        """Let a start run to its end; raise with its output if it fails."""
        process = self.start()
        code = process.wait(PATIENCE)
        if code != 0:
            raise AssertionError(f"exit code {code} after {self.starts} starts:\n{''.join(self.output)}")

    def at_work(self, process: subprocess.Popen[str]) -> bool:
        """Wait until the run has begun its work; False if it ended before."""
        while process.poll() is None:
            if any(line.startswith("[") for line in self.output):
                return True
            time.sleep(0.01)
        return False


STAGES = """\
stages:
  run:
    cmd: ticketlab run specs/{name}.yaml
    deps: [specs/{name}.yaml]
    outs: [{outs}]
"""


def write_spec(spec: Path, root: Path, changes: Sequence[str]) -> str:
    """The spec with its changes written into it, under the name that it gives itself, and its stage in dvc.yaml; the name."""
    from ticketlab.run.reading import load_spec

    yaml = YAML(typ="safe")
    page = yaml.load(spec.read_text())
    for change in changes:
        path, _, value = change.partition("=")
        *sections, last = path.split(".")
        place = page
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = yaml.load(value)
    name = str(page["name"])
    written = root / "specs" / f"{name}.yaml"
    written.parent.mkdir(exist_ok=True)
    yaml.dump(page, written)
    outs = ["tickets"] + ["statistics"] * load_spec(written).spec.model.trains.through_features
    (root / "dvc.yaml").write_text(STAGES.format(name=name, outs=", ".join(f"runs/{name}/{out}" for out in outs)))
    return name


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process started and theirs: DVC, MLflow's courier (Linux)."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    waiting = [pid]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            yield child
            waiting.append(child)


def kill(process: subprocess.Popen[str], family: bool) -> None:
    """SIGKILL a process that is ours, and all it started if `family`."""
    children = list(descendants(process.pid)) if family else []
    process.kill()
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    process.wait(PATIENCE)


def state_of(place: Path) -> frozenset[tuple[str, int, int]]:
    """What is in a folder, or of a file: names, sizes and times of change."""
    found = set()
    with suppress(OSError):
        for path in (place, *place.rglob("*")):
            with suppress(OSError):
                status = path.stat()
                found.add((str(path), status.st_size, status.st_mtime_ns))
    return frozenset(found)


@dataclass
class Killer:
    """Kills one start after the other at instants drawn from a seed; `seconds` is how long an undisturbed run works."""

    draws: random.Random
    seconds: float
    done: Counter[str] = field(default_factory=Counter)

    def disturb(self, lab: Lab) -> bool:
        """Start the run and kill it; False if it had ended before the instant came."""
        process = lab.start()
        aimed = self.draws.random() < 0.5
        where = self._aim(lab, process) if aimed else self._wait(lab, process)
        if process.poll() is not None:
            if process.returncode != 0:
                raise AssertionError(f"exit code {process.returncode}:\n{''.join(lab.output)}")
            return False
        # Rows reach MLflow's database by the courier, a process that the run started.
        kill(process, family=self.draws.random() < 0.3 or where.endswith(OF_MLFLOW))
        self.done[where] += 1
        return True

    def _wait(self, lab: Lab, process: subprocess.Popen[str]) -> str:
        """Until any instant of the start or, mostly, of the work."""
        if self.draws.random() < 0.1:
            time.sleep(self.draws.uniform(0, 3))
            return "while starting"
        lab.at_work(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(self.draws.uniform(0, self.seconds))
        return "at a random instant"

    def _aim(self, lab: Lab, process: subprocess.Popen[str]) -> str:
        """Until something changed a few times in one place, and a moment longer."""
        target, changes = self.draws.choice(TARGETS), self.draws.randint(1, 12)
        place = lab.root / target
        lab.at_work(process)
        before = state_of(place)
        limit = time.monotonic() + 2 * self.seconds + 5
        while changes and process.poll() is None and time.monotonic() < limit:
            now = state_of(place)
            changes -= now != before
            before = now
            time.sleep(0.0005)
        time.sleep(self.draws.uniform(0, 0.003))
        return f"after a write in {target}"


def interrupt(lab: Lab) -> None:
    """SIGINT while the run is at work: exit code 130, and one line that says how to go on."""
    process = lab.start()
    while lab.at_work(process) and not any("train" in line for line in lab.output):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    code = process.wait(PATIENCE)
    time.sleep(0.2)
    said = [line for line in lab.output if "the same command" in line]
    assert (code, len(said)) == (130, 1), "".join(lab.output)
    assert not any("Traceback" in line for line in lab.output)


def published(lab: Lab) -> dict[str, str]:
    """The sha256 of every published file but the statements, which hold times, and DVC's own."""
    from ticketlab.files import sha256_file

    return {
        path.relative_to(lab.runs).as_posix(): sha256_file(path)
        for path in sorted(lab.runs.rglob("*"))
        if path.is_file() and path.name not in ("statement.json", ".gitignore") and path.suffix != ".dvc"
    }


def stated(lab: Lab) -> list[tuple[str, list[tuple[str, str]]]]:
    """The ledger, which must be sound: the arm of every entry, and its subjects with their digests."""
    from ticketlab.ledger.chain import Chain
    from ticketlab.ledger.listing import summary

    chain = Chain(lab.root / "ledger.jsonl")
    report = chain.check()
    assert report.sound, report.fault
    return sorted(
        (
            summary(entry).cell,
            sorted((one["name"], one["digest"]["sha256"]) for one in entry.statement["subject"]),
        )
        for entry in chain.entries()
    )


def tracked(lab: Lab) -> dict[tuple[str, str, int], float]:
    """Every value in MLflow by run, metric and step; each must be there once, in one run of that name, now finished."""
    from ticketlab.tracking.courier import reconcile
    from ticketlab.tracking.store import client_of, store_of

    delivery = reconcile(lab.root)
    assert delivery.problem is None, delivery.problem
    assert delivery.pending == 0
    client = client_of(lab.root, store_of(lab.root, "sqlite:///mlflow.db"))
    (experiment,) = (one for one in client.search_experiments() if one.name != "Default")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    found: dict[tuple[str, str, int], float] = {}
    assert len({run.info.run_name for run in runs}) == len(runs)
    for run in runs:
        assert run.info.status == "FINISHED", (run.info.run_name, run.info.status)
        for name in run.data.metrics:
            for metric in client.get_metric_history(run.info.run_id, name):
                address = (run.info.run_name, name, metric.step)
                assert address not in found, f"twice in MLflow: {address}"
                found[address] = metric.value
    return found


def leftovers(lab: Lab) -> list[str]:
    """Unfinished work that nothing will finish any more."""
    return [path.as_posix() for path in (lab.root / ".ticketlab" / "work").iterdir()]


def compare(lab: Lab, undisturbed: Lab) -> None:
    """AssertionError unless both projects hold the same results and the same record."""
    from ticketlab.tracking import dvc

    for what in (published, stated, tracked):
        mine, theirs = what(lab), what(undisturbed)
        if mine != theirs:
            raise AssertionError(f"{what.__name__} differ: {difference(mine, theirs)}")
    assert leftovers(lab) == []
    if dvc.is_repository(lab.root):
        found = dvc.status(lab.root)
        assert found == dvc.status(undisturbed.root)
        assert "run" not in found, found["run"]


def difference(mine: object, theirs: object) -> str:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        names = sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
        return ", ".join(f"{name}: {mine.get(name)} instead of {theirs.get(name)}" for name in names[:10])
    return f"{mine}\ninstead of {theirs}"


def disturb(spec: Path, kills: int, seed: int, changes: Sequence[str], folder: Path, interrupts: bool = False) -> str:
    """Kill runs of a spec `kills` times and compare what they end with; says what was done."""
    undisturbed = Lab.begin(folder / "undisturbed", spec, changes)
    process = undisturbed.start()
    undisturbed.at_work(process)
    begun = time.monotonic()
    code = process.wait(PATIENCE)
    assert code == 0, "".join(undisturbed.output)
    killer = Killer(random.Random(seed), time.monotonic() - begun)
    compared = 0
    while sum(killer.done.values()) < kills or not compared:
        lab = Lab.begin(folder / f"disturbed-{compared}", spec, changes)
        if interrupts:
            interrupt(lab)
        while sum(killer.done.values()) < kills and killer.disturb(lab):
            print(f"kill {sum(killer.done.values())} of {kills}: {''.join(lab.output[-1:]).strip()}", flush=True)
        lab.finish()
        compare(lab, undisturbed)
        compared += 1
        shutil.rmtree(lab.root)
    places = ", ".join(f"{count} {where}" for where, count in sorted(killer.done.items()))
    return f"{spec.name}: {kills} kills ({places}), {compared} projects finished, each equal to the undisturbed one"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--spec", type=Path, action="append", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="PATH=VALUE")
    options = parser.parse_args()
    for spec in options.spec:
        with tempfile.TemporaryDirectory(prefix="ticketlab-kill-") as folder:
            print(disturb(spec.resolve(), options.kills, options.seed, options.changes, Path(folder)))


MLP = """\
name: killed
data: {dataset: fashion-mnist-mini, count: 200}
model: {kind: mlp, hidden: [8]}
ticket: {method: magnitude, schedule: {rounds: 2, rate: 0.5}}
arms: [ticket, random]
train: {objective: cross_entropy, steps: 150, batch: 16}
evaluate: {every: 50}
compute: {device: cpu, threads: 1, log_every: 10}
"""

GAN = """\
name: killed-gan
data: {dataset: fashion-mnist-mini, size: 32, fit: pad, ratio: 0.1}
model: {kind: sngan, width: 4, critic_width: 4, latent: 8}
ticket: {method: magnitude, schedule: {rounds: 2, rate: 0.5}, rewind: {step: 5}}
arms: [ticket, dense, shuffled, fresh_weights]
train: {objective: hinge, steps: 20, batch: 8, generator_batch: 8, n_critic: 2, augment: [{kind: diffaugment}]}
evaluate: {samples: 50, every: 5, extractor: {kind: lab_classifier, steps: 10}}
compute: {device: cpu, threads: 1, log_every: 5}
"""


def test_two_kills_and_an_interrupt_leave_no_trace(tmp_path: Path) -> None:
    spec = tmp_path / "killed.yaml"
    spec.write_text(MLP)
    changes = ("train.steps=30", "evaluate.every=10", "data.count=64", "ticket.schedule.rounds=1")
    done = disturb(spec, 2, 7, changes, tmp_path / "labs", interrupts=True)
    assert re.search(r": 2 kills .*, [1-9]\d* projects finished, each equal to the undisturbed one$", done), done


@pytest.mark.long
@pytest.mark.parametrize("text", [MLP, GAN], ids=["classifier", "gan"])
def test_fifty_kills_leave_no_trace(text: str, tmp_path: Path) -> None:
    spec = tmp_path / "killed.yaml"
    spec.write_text(text)
    done = disturb(spec, 50, 1, (), tmp_path / "labs")
    assert re.search(r": 50 kills .*, [1-9]\d* projects finished, each equal to the undisturbed one$", done), done


if __name__ == "__main__":
    main()
