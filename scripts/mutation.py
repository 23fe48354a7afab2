"""Mutation testing: a seeded sample of small changes to one package, and which of them its tests notice.

`python scripts/mutation.py tickets --sample 80 --seed 1` works in a copy of the repository. The tests run once to learn
which of them reach which line, then for each mutant those that do, quickest first, up to the first failure. Each run is
a fork of this process, which has imported slow libraries and nothing of ticketlab.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import coverage
import pytest
from mutants import Mutant, mutants

REPOSITORY = Path(__file__).resolve().parents[1]
SLOW = ("torch", "torch.func", "torchvision", "pydantic", "hypothesis", "jsonschema", "scipy.stats", "filelock")
QUIET = ("-q", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin")
PATIENCE = 20.0
"""Seconds of processor time for any mutant, beside five times what its tests take."""


class Traced:
    """A plugin of pytest that notes how long each test takes and which lines of a package it reaches.

    Tests that fail are left out: some are bound to be too slow when traced.
    """

    def __init__(self, package: Path) -> None:
        self.measured = coverage.Coverage(data_file=None, config_file=False, source=[str(package)])
        self.seconds, self.failed = Counter[str](), set[str]()
        self.measured.start()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """What follows is this test's, also what an earlier one had left in a cache."""
        for name, module in list(sys.modules.items()):
            for held in vars(module).values() if name.startswith("ticketlab.") else ():
                if isinstance(held, functools._lru_cache_wrapper):
                    held.cache_clear()
        self.measured.switch_context(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Setting up and tearing down count."""
        self.seconds[report.nodeid] += report.duration  # type: ignore[assignment]
        self.failed |= {report.nodeid} if report.failed else set()

    def pytest_sessionfinish(self) -> None:
        """Hand over what was found."""
        self.measured.stop()
        data = self.measured.get_data()
        lines = {Path(file).name: data.contexts_by_lineno(file) for file in data.measured_files()}
        useful = {test: spent for test, spent in self.seconds.items() if test not in self.failed}
        Path("traced.json").write_text(json.dumps({"seconds": useful, "lines": lines}))


class Chosen:
    """A plugin of pytest: only tests of which it is known how long they take, the quickest first."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out all others."""
        kept = [item for item in items if item.nodeid in self.seconds]
        items[:] = sorted(kept, key=lambda item: self.seconds[item.nodeid])


def forked(copy: Path, seconds: float, run: Callable[[], int]) -> str:
    """How `run` ended, in a fork of this process in `copy`, its output in `log`: passed, failed or timeout."""
    child = os.fork()
    if not child:
        os.setsid()
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        os.environ["PYTHONPATH"] = str(copy)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
        log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os._exit(run())
    deadline = time.monotonic() + 10 * seconds
    while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
        time.sleep(0.05)
    if not ended[0]:
        os.killpg(child, signal.SIGKILL)
        ended = os.waitpid(child, 0)
    stopped = os.WIFSIGNALED(ended[1]) and os.WTERMSIG(ended[1]) in (signal.SIGXCPU, signal.SIGKILL)
    return "timeout" if stopped else "failed" if ended[1] else "passed"


def tried(copy: Path, mutant: Mutant, known: dict[str, Any]) -> str:
    """How the tests of a mutant end: passed, failed, timeout, or unreached if there are none."""
    seconds, lines, body = known["seconds"], known["lines"][mutant.file.name], getattr(mutant.around, "body", None)
    end = body[0].lineno if body else (mutant.around.end_lineno or 0) + 1
    reached = {test for line in range(mutant.around.lineno, end) for test in lines.get(str(line), [])}
    # What is outside of functions runs at an import, for whichever test comes first.
    tests = {test: seconds[test] for test in seconds if not mutant.live or "" in reached or test in reached}
    if not tests:
        return "unreached"
    source, before = mutant.file.read_text(), mutant.file.stat()
    mutant.file.write_text(mutant.applied(source))
    try:
        args = [*QUIET, "-x", *sorted({test.partition("::")[0] for test in tests})]
        return forked(copy, PATIENCE + 5 * sum(tests.values()), lambda: pytest.main(args, [Chosen(tests)]))
    finally:
        mutant.file.write_text(source)
        os.utime(mutant.file, ns=(before.st_atime_ns, before.st_mtime_ns))  # so that its bytecode counts again


def main() -> None:
    """Make mutants, run their tests, show those that survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", help="folder below ticketlab/")
    parser.add_argument("--sample", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tests", nargs="+", help="default: tests/PACKAGE tests/test_values.py")
    given = parser.parse_args()
    for name in SLOW:
        import_module(name)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with tempfile.TemporaryDirectory(prefix="ticketlab-mutants-") as folder:
        copy = Path(folder, "copy")
        shutil.copytree(REPOSITORY, copy, ignore=shutil.ignore_patterns(".git", ".ticketlab", ".venv", "__pycache__"))
        package = copy / "ticketlab" / given.package
        args = [*QUIET, *(given.tests or [f"tests/{given.package}", "tests/test_values.py"])]
        forked(copy, 3600, lambda: pytest.main(args, [Traced(package)]))
        known = json.loads((copy / "traced.json").read_text())
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        every = [mutant for file in sorted(package.glob("*.py")) for mutant in mutants(file)]
        sample = random.Random(given.seed).sample(every, min(given.sample, len(every)))
        ends = Counter[str]()
        for mutant in sample:
            ended = tried(copy, mutant, known)
            ends[ended] += 1
            print(f"{ends.total()}/{len(sample)} {ended} {mutant.file.name}:{mutant.around.lineno}", flush=True)
            if ended in ("passed", "unreached"):
                source, name = mutant.file.read_text(), str(mutant.file.relative_to(copy))
                lines = source.splitlines(True), mutant.applied(source).splitlines(True)
                print("".join(difflib.unified_diff(*lines, name, name, n=1)))
        noticed = ends["failed"] + ends["timeout"]
        print(f"{given.package}: {noticed} of {len(sample)} mutants noticed, of {len(every)} there are; {dict(ends)}")


if __name__ == "__main__":
    main()
