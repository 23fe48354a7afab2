"""Mutation testing: a seeded sample of small changes to one package, and which of them its tests notice.

`python scripts/mutation.py tickets --sample 80 --seed 1` works in a copy of the repository. The tests run once to learn
which of them execute which line, then for each mutant those that reach it, quickest file first, up to the first
failure. Each run is a fork of this process, which has imported the slow libraries and nothing of ticketlab.
"""

from __future__ import annotations

import argparse
import ast
import difflib
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import coverage
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SLOW = ("torch", "torch.func", "torchvision", "pydantic", "hypothesis", "jsonschema", "scipy.stats", "filelock")
QUIET = ("-q", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin")
PATIENCE = 20.0
"""Seconds of processor time for any mutant, beside five times what its tests take."""
OTHER: dict[type[ast.AST], Callable[[], Any]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr},
}
"""What an operator is replaced by."""


@dataclass(frozen=True)
class Mutant:
    """One change: `text` in the place of `node`, which is part of the statement `around`."""

    file: Path
    node: ast.AST
    text: str
    around: ast.stmt
    live: bool
    """Whether it is inside a function; anything else runs when the module is imported, for whichever test comes first."""

    @property
    def lines(self) -> range:
        """The lines of the statement, without those of the statements inside it."""
        body = getattr(self.around, "body", None)
        return range(self.around.lineno, body[0].lineno if body else (self.around.end_lineno or 0) + 1)

    def applied(self, source: str) -> str:
        """The source of the file with the change."""
        lines = source.encode().splitlines(keepends=True)
        first, last = self.node.lineno - 1, self.node.end_lineno - 1  # type: ignore[attr-defined]
        head, tail = lines[first][: self.node.col_offset], lines[last][self.node.end_col_offset :]  # type: ignore[attr-defined]
        return b"".join([*lines[:first], head + self.text.encode() + tail, *lines[last + 1 :]]).decode()


def mutants(file: Path) -> list[Mutant]:
    """Every mutant of a file, in its order. Prose (text with blanks, f-strings, docstrings), types and assertions stay."""

    def visit(node: ast.AST, around: ast.stmt, live: bool) -> Iterator[Mutant]:
        around = node if isinstance(node, ast.stmt) else around
        yield from (Mutant(file, node, text, around, live) for text in changes(node, live))
        for name, value in ast.iter_fields(node):
            inside = live or (name == "body" and isinstance(node, ast.FunctionDef | ast.Lambda))
            parts = [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, ast.AST)]
            if name in ("annotation", "returns"):  # of a type, what its calls say: Field(ge=0)
                parts = [call for part in parts for call in ast.walk(part) if isinstance(call, ast.Call)]
            if name == "test" and not isinstance(value, ast.Compare | ast.UnaryOp):
                yield Mutant(file, value, f"(not ({ast.unparse(value)}))", around, live)
            for part in parts:
                silent = isinstance(part, ast.If) and ast.unparse(part.test) == "TYPE_CHECKING"
                docstring = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
                assertion = isinstance(part, ast.Assert) or (isinstance(part, ast.keyword) and part.arg == "strict")
                if not (silent or docstring or assertion or isinstance(part, ast.JoinedStr)):
                    yield from visit(part, around, inside)

    return [one for part in ast.parse(file.read_text()).body for one in visit(ast.Module([part], []), part, False)]


def changes(node: ast.AST, live: bool) -> Iterator[str]:
    """The texts that may stand in a node's place."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in OTHER:
            yield ast.unparse(ast.Compare(node.left, [OTHER[type(op)]()], node.comparators))
        case ast.BoolOp():
            yield ast.unparse(ast.BoolOp(OTHER[type(node.op)](), node.values))
        case ast.BinOp() if type(node.op) in OTHER and (live or not isinstance(node.op, ast.BitOr)):
            yield ast.unparse(ast.BinOp(node.left, OTHER[type(node.op)](), node.right))
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield f"({ast.unparse(node.operand)})"
        case ast.Constant(value=bool()):
            yield str(not node.value)
        case ast.Constant(value=int() | float()):
            yield repr(node.value + 1)  # type: ignore[operator]
        case ast.Constant(value=str(text)) if " " not in text:
            yield repr(text + "x")
        case ast.Return(value=ast.expr() as given) if ast.unparse(given) != "None":
            yield "return None"
        case ast.Expr(value=ast.Call() | ast.YieldFrom()) | ast.Raise() | ast.Continue() | ast.AugAssign():
            yield "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "pass"
        case ast.Call(args=[one, other, *rest]) if ast.unparse(one) != ast.unparse(other):
            yield ast.unparse(ast.Call(node.func, [other, one, *rest], node.keywords))


class Chosen:
    """A plugin of pytest: only some tests, of which it is known how long they take, the quickest file first."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.files = Counter[str]()
        for test, spent in seconds.items():
            self.files[test.partition("::")[0]] += spent  # type: ignore[assignment]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out all others."""
        kept = [item for item in items if item.nodeid in self.seconds]
        items[:] = sorted(
            kept, key=lambda item: (self.files[item.nodeid.partition("::")[0]], self.seconds[item.nodeid])
        )


class Traced:
    """A plugin of pytest that writes down the seconds each test takes, and the tests that reach each line."""

    def __init__(self, package: Path, result: Path) -> None:
        self.measured = coverage.Coverage(data_file=None, source=[str(package)])
        self.result, self.seconds, self.failed = result, Counter[str](), set[str]()
        self.measured.start()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """What follows is this test's."""
        self.measured.switch_context(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Setting up and tearing down count; a test that fails is of no use (tracing is too slow for some)."""
        self.seconds[report.nodeid] += report.duration  # type: ignore[assignment]
        self.failed |= {report.nodeid} if report.failed else set()

    def pytest_sessionfinish(self) -> None:
        """Hand over what was found."""
        self.measured.stop()
        data = self.measured.get_data()
        lines = {Path(file).name: data.contexts_by_lineno(file) for file in data.measured_files()}
        useful = {test: spent for test, spent in self.seconds.items() if test not in self.failed}
        self.result.write_text(json.dumps({"seconds": useful, "lines": lines}))


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
    reached = {test for line in mutant.lines for test in known["lines"][mutant.file.name].get(str(line), [])}
    chosen = reached if mutant.live and "" not in reached else known["seconds"].keys()
    tests = {test: known["seconds"][test] for test in chosen if test in known["seconds"]}
    if not tests:
        return "unreached"
    source, before = mutant.file.read_text(), mutant.file.stat()
    mutant.file.write_text(mutant.applied(source))
    try:
        files = sorted({test.partition("::")[0] for test in tests})
        return forked(
            copy, PATIENCE + 5 * sum(tests.values()), lambda: pytest.main([*QUIET, "-x", *files], [Chosen(tests)])
        )
    finally:
        mutant.file.write_text(source)
        os.utime(mutant.file, ns=(before.st_atime_ns, before.st_mtime_ns))  # so that its bytecode counts again


def main() -> None:
    """Make mutants, run their tests, show those that survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", help="folder below ticketlab/")
    parser.add_argument("--sample", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tests", nargs="+", help="default: tests/PACKAGE")
    given = parser.parse_args()
    for name in SLOW:
        import_module(name)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with tempfile.TemporaryDirectory(prefix="ticketlab-mutants-") as folder:
        copy, found = Path(folder, "copy"), Path(folder, "found.json")
        shutil.copytree(REPOSITORY, copy, ignore=shutil.ignore_patterns(".git", ".ticketlab", ".venv", "__pycache__"))
        package = copy / "ticketlab" / given.package
        args = [*QUIET, *(given.tests or [f"tests/{given.package}"])]
        forked(copy, 3600, lambda: pytest.main(args, plugins=[Traced(package, found)]))
        known = json.loads(found.read_text())
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        every = [mutant for file in sorted(package.rglob("*.py")) for mutant in mutants(file)]
        sample = random.Random(given.seed).sample(every, min(given.sample, len(every)))
        ends = Counter[str]()
        for number, mutant in enumerate(sample, 1):
            ended = tried(copy, mutant, known)
            ends[ended] += 1
            print(f"{number}/{len(sample)} {ended} {mutant.file.name}:{mutant.around.lineno}", flush=True)
            if ended in ("passed", "unreached"):
                source, name = mutant.file.read_text(), str(mutant.file.relative_to(copy))
                lines = source.splitlines(True), mutant.applied(source).splitlines(True)
                print("".join(difflib.unified_diff(*lines, name, name, n=1)))
        noticed = ends["failed"] + ends["timeout"]
        print(f"{given.package}: {noticed} of {len(sample)} mutants noticed, of {len(every)} there are; {dict(ends)}")


if __name__ == "__main__":
    main()
