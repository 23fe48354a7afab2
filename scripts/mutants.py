"""Small changes to Python code that its tests should notice: operators, constants, conditions, calls and statements."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OTHER: dict[type[ast.AST], Callable[[], Any]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr},
}
"""What an operator is replaced by."""


@dataclass(frozen=True)
class Mutant:
    """One change: `text` in the place of `node`, part of the statement `around`, which is `live` inside a function."""

    file: Path
    node: ast.AST
    text: str
    around: ast.stmt
    live: bool

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
