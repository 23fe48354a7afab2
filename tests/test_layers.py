"""Imports point one way, and the doors that must stay shut are shut."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import ticketlab

ROOT = Path(ticketlab.__file__).parent

LEVELS = (
    ("cores", "errors", "files", "label_map", "randomness"),
    ("made", "inert_pickle", "tensors"),
    ("spec",),
    ("models", "augment", "datasets"),
    ("plan", "tickets", "training", "metrics", "ledger", "tracking", "report"),
    ("run",),
    ("cli",),
    ("__main__",),
)
LEVEL = {package: level for level, packages in enumerate(LEVELS) for package in packages}
LEAVES = frozenset(LEVELS[0])


@dataclass(frozen=True)
class Import:
    """`importer` names `target`; `runs` is false under `if TYPE_CHECKING:`, `at_start` inside no function."""

    importer: str
    target: str
    runs: bool
    at_start: bool


def module_name(path: Path) -> str:
    parts = ("ticketlab", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield module_name(path), ast.parse(path.read_bytes())


def imports_in(importer: str, node: ast.AST, runs: bool = True, at_start: bool = True) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(importer, alias.name, runs, at_start) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{importer}: relative import"
            for alias in child.names:
                yield Import(importer, f"{child.module}.{alias.name}", runs, at_start)
        else:
            guard = isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from imports_in(importer, child, runs and not guard, at_start and not inside)


IMPORTS = [found for name, tree in trees() for found in imports_in(name, tree)]
OWN = [found for found in IMPORTS if found.target.startswith("ticketlab.")]


def package(module: str) -> str:
    """`ticketlab.spec.data` belongs to `spec`; the top module to nothing."""
    return module.split(".")[1] if "." in module else ""


def third_parties(importer_package: str) -> set[str]:
    return {
        found.target.partition(".")[0]
        for found in IMPORTS
        if package(found.importer) == importer_package and found.target.partition(".")[0] != "ticketlab"
    }


def test_every_package_has_a_place_in_the_order() -> None:
    assert {package(name) for name, _ in trees()} - {""} == set(LEVEL)


def test_imports_that_run_point_down() -> None:
    upwards = [
        (found.importer, found.target)
        for found in OWN
        if found.runs
        and package(found.importer)
        and package(found.importer) != package(found.target)
        and package(found.target) in LEVEL
        and LEVEL[package(found.target)] >= LEVEL[package(found.importer)]
    ]
    assert upwards == []


def test_imports_for_types_point_down_or_to_the_shape_of_images() -> None:
    upwards = [
        (found.importer, found.target)
        for found in OWN
        if not found.runs
        and package(found.importer)
        and package(found.importer) != package(found.target)
        and LEVEL[package(found.target)] >= LEVEL[package(found.importer)]
        and found.target != "ticketlab.datasets.shape.ImageShape"
    ]
    assert upwards == []


def test_the_leaves_stand_on_nothing_of_the_lab() -> None:
    assert [found for found in OWN if package(found.importer) in LEAVES] == []


def test_the_spec_language_stands_on_the_leaves_alone() -> None:
    own = {package(found.target) for found in OWN if package(found.importer) == "spec"}
    assert own <= {"spec", *LEAVES}
    assert third_parties("spec") - set(sys.stdlib_module_names) == {"pydantic", "pydantic_core", "ruamel"}


def test_only_tracking_knows_mlflow_and_dvc() -> None:
    known = {package(found.importer) for found in IMPORTS if found.target.partition(".")[0] in ("mlflow", "dvc")}
    assert known <= {"tracking"}


def test_only_the_command_line_knows_typer_and_the_terminal() -> None:
    known = {package(found.importer) for found in IMPORTS if found.target.partition(".")[0] in ("typer", "rich")}
    assert known == {"cli"}


@pytest.mark.parametrize("name", ["pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"])
def test_nothing_that_can_unpickle_is_imported(name: str) -> None:
    assert [found.importer for found in IMPORTS if found.target.partition(".")[0] == name] == []


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_torch_loads_and_saves_no_file() -> None:
    offenders = [
        (name, node.lineno)
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("load", "save")
        and isinstance(node.value, ast.Name)
        and node.value.id == "torch"
    ]
    assert offenders == []
    assert not {found.target for found in IMPORTS} & {"torch.load", "torch.save", "torch.hub", "torch.serialization"}


def test_numpy_reads_arrays_without_objects() -> None:
    for name, tree in trees():
        for call in calls(tree):
            spelled = ast.unparse(call.func)
            if spelled in ("np.load", "numpy.load"):
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
                assert given.get("allow_pickle") == "False", f"{name}:{call.lineno}"


def test_nothing_evaluates_text_as_code() -> None:
    offenders = [
        (name, call.lineno)
        for name, tree in trees()
        for call in calls(tree)
        if isinstance(call.func, ast.Name) and call.func.id in ("eval", "exec", "compile", "__import__")
    ]
    assert offenders == []


PRIVATE_GENERATORS = ("np.random.RandomState", "np.random.default_rng", "np.random.Generator")


def test_the_global_generators_are_never_touched() -> None:
    """Only `torch.Generator().manual_seed` is there, never `torch.manual_seed`; numpy's only with a seed of its own."""
    for name, tree in trees():
        for call in calls(tree):
            spelled = ast.unparse(call.func)
            allowed = spelled in PRIVATE_GENERATORS and bool(call.args)
            assert spelled not in {"torch.manual_seed", "torch.seed", "torch.set_rng_state"}, f"{name}:{call.lineno}"
            assert allowed or not spelled.startswith(("np.random.", "torch.random.")), f"{name}:{call.lineno}"
    assert [found.importer for found in IMPORTS if found.target.partition(".")[0] == "random"] == []


def test_modules_are_short_and_open_with_a_sentence() -> None:
    lengths = []
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        lengths.append(text.count("\n"))
        assert lengths[-1] <= 250, path.name
        opening = ast.get_docstring(ast.parse(text)) or ""
        assert (opening.splitlines() or [""])[0].rstrip().endswith((".", ":")), path.name
    assert sorted(lengths)[len(lengths) // 2] < 120


def test_functions_fit_a_screen() -> None:
    long = [
        (name, node.name, node.end_lineno - node.lineno + 1)
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 60
    ]
    assert long == []


NAMED = re.compile(r"ticketlab(?:\.\w+)+:\w+")
MAY_NAME = {
    "spec": {"models", "augment", "datasets", "tickets", "training", "metrics", "run"},
    "plan": {"run", "datasets"},
    "datasets": {"datasets"},
}
"""Where the work is done that a choice, a task or a step names: what they name is imported when it is wanted."""


def test_functions_that_are_named_and_not_imported_are_there_and_in_their_place() -> None:
    named = [
        (module, node.value)
        for module, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAMED.fullmatch(node.value)
    ]
    assert len(named) > 40
    for module, name in named:
        home, _, function = name.partition(":")
        assert package(home) in MAY_NAME[package(module)], f"{module} names {name}"
        defined = ast.parse((ROOT / Path(*home.split(".")[1:])).with_suffix(".py").read_bytes()).body
        assert function in {node.name for node in defined if isinstance(node, ast.FunctionDef | ast.ClassDef)}, name
