"""The digest of the source that a step runs: edit the code and the step is another one."""

from __future__ import annotations

import ast
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from ticketlab.files import canonical_json, sha256_bytes

PACKAGES_THAT_SUM = {"PIL": "pillow", "numpy": "numpy", "torch": "torch", "torchvision": "torchvision"}
"""Packages that do sums, by the name they are imported by: another release may round another way, or open a picture so."""


def source_digest(modules: tuple[str, ...]) -> str:
    """sha256 over the modules named and all they import from their own package and from the lab.

    Comments, docstrings, layout, `if TYPE_CHECKING:` blocks do not count. Nor does `ticketlab.spec`: what its classes
    decide, in fields, constants and properties, reaches a step as values, which the step's digest holds
    (ticketlab/plan/decided.py), and code that a step runs imports nothing of it that computes and calls no method of
    its classes (tests/plan/test_spec_in_steps.py). So an edit of the language repeats the steps whose values it
    changes, and no others. Files are looked at anew in every call.
    """
    meanings = {name: _meaning(_source(name)) for name in closure(modules)}
    for name, meaning in meanings.items():
        _first_seen.setdefault(name, meaning)
    return sha256_bytes(canonical_json(meanings))


@cache
def releases(modules: tuple[str, ...]) -> dict[str, str]:
    """The releases of those of PACKAGES_THAT_SUM that the modules, or any they import, import; none of them is imported here."""
    found = {PACKAGES_THAT_SUM[imported] for name in closure(modules) for imported in _packages(_source(name))}
    return {package: version(package) for package in sorted(found)}


_first_seen: dict[str, str] = {}
"""The meaning of each module when this process first looked at it: what it loaded, or will load, is that."""


def edited_since_loaded(modules: tuple[str, ...]) -> list[str]:
    """Those of the modules, and of all they import, that this process has loaded and whose files say other things now.

    Their digests are of the files, the work would be done by what is loaded: a result would belong to no code.
    """
    return [
        name
        for name in closure(modules)
        if name in sys.modules and _first_seen.get(name, "") not in ("", _meaning(_source(name)))
    ]


def closure(modules: tuple[str, ...]) -> tuple[str, ...]:
    """The modules named and all that they import, directly or not, from their own packages and the lab, sorted."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_imports(_source(name)))
    return tuple(sorted(found))


@cache
def _location(name: str) -> Path | None:
    """The file of a module, found without importing more than its parent packages."""
    package, _, _ = name.partition(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent.joinpath(*name.split(".")[1:])
    if name == package:
        return Path(spec.origin)
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@dataclass(frozen=True)
class _Source:
    """A module's file as it is now."""

    name: str
    path: Path
    changed: int
    size: int


def _source(name: str) -> _Source:
    path = _location(name)
    assert path is not None, f"{name} is not a module with a source file"
    state = path.stat()
    return _Source(name, path, state.st_mtime_ns, state.st_size)


@cache
def _tree(source: _Source) -> ast.Module:
    return ast.parse(source.path.read_bytes())


@cache
def _imports(source: _Source) -> tuple[str, ...]:
    package = source.name.partition(".")[0]
    found: set[str] = set()
    for node in _running_nodes(_tree(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, source)
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return tuple(sorted(module for module in found if _counts(module, package)))


@cache
def _packages(source: _Source) -> frozenset[str]:
    """Those of PACKAGES_THAT_SUM that a module imports, in a function too."""
    found: set[str] = set()
    for node in _running_nodes(_tree(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return frozenset(PACKAGES_THAT_SUM.keys() & found)


def _absolute(node: ast.ImportFrom, source: _Source) -> str:
    """The full name of the module that is imported from, relative imports resolved."""
    if node.level == 0:
        return node.module or ""
    parts = source.name.split(".")
    above = parts if source.path.name == "__init__.py" else parts[:-1]
    base = above[: len(above) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def _counts(module: str, package: str) -> bool:
    within = module.startswith((f"{package}.", "ticketlab."))
    says_what = module == "ticketlab.spec" or module.startswith("ticketlab.spec.")
    return within and not says_what and _location(module) is not None


def _running_nodes(tree: ast.AST) -> list[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`."""
    nodes: list[ast.AST] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting.extend(node.orelse)
        else:
            waiting.extend(ast.iter_child_nodes(node))
    return nodes


@cache
def _meaning(source: _Source) -> str:
    return sha256_bytes(_spelled(_tree(source)).encode())


def _spelled(node: object) -> str:
    """A node as text without positions, docstrings, type-checking blocks or empty fields (which vary with Python)."""
    if isinstance(node, list):
        return "[" + ",".join(map(_spelled, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return _spelled(node.orelse)
    parts = []
    for field, value in ast.iter_fields(node):
        if field == "body" and isinstance(value, list):
            value = _without_docstring(value)
        if value not in (None, []):
            parts.append(f"{field}={_spelled(value)}")
    return f"{type(node).__name__}({','.join(parts)})"


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    return [
        statement
        for statement in body
        if not (
            isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
        )
    ]
