"""What is wrong with a file that is not YAML, in the words of somebody who writes specs."""

from __future__ import annotations

import re

from ruamel.yaml.error import MarkedYAMLError

from ticketlab.errors import SpecError
from ticketlab.spec.positions import Mark
from ticketlab.spec.quoting import code

_LIKELY = (
    ("mapping values are not allowed here", "`: ` where no key can stand", "quote the text, or mend the indentation"),
    ("found character '\\t'", "a tab", "indent and separate with spaces"),
    ("could not find expected ':'", "a line without `: ` among keys", "write `key: value`"),
    ("expected <block end>", "a line that does not line up with those before it", "check its indentation"),
    (
        "expected the node content",
        "a key or a comma where a value was expected",
        "write the value, or remove the sign before it",
    ),
    ("expected ',' or ']'", "a list whose `[` is not closed here", "write `]`, or `,` between its values"),
    ("expected ',' or '}'", "a mapping whose `{` is not closed here", "write `}`, or `,` between its entries"),
    ("unexpected end of stream", "the end of the file inside quotes", "close the quote"),
    ("that cannot start any token", "a sign that cannot start a value", "quote the text"),
    ("unknown escape character", "an escape that does not exist inside double quotes", "use single quotes"),
    ("expected '<document start>'", "text after the end of the spec", "check the indentation and brackets above"),
)
_TAB = re.compile(r"^ *\t[ \t]*(?=\S)", re.MULTILINE)


def place(problem: MarkedYAMLError) -> Mark | None:
    """Where the problem stands: where the scanner noticed, or for a key without a colon, where it began."""
    noticed, began = problem.problem_mark, problem.context_mark
    mark = began if began and "could not find expected ':'" in str(problem.problem) else noticed or began
    return Mark(mark.line + 1, mark.column + 1) if mark else None


def explained(problem: MarkedYAMLError, text: str, mark: Mark) -> tuple[str, str]:
    """What was found, and what to do about it."""
    said = str(problem.problem or problem.context or "not YAML")
    what, mend = f"not YAML: {said[:120]}", "check the line and the one above"
    for sign, found, advice in _LIKELY:
        if sign in said:
            what, mend = f"not YAML: {found}", advice
            break
    lines = text.split("\n")
    line = lines[mark.line - 1].strip() if mark.line <= len(lines) else ""
    return (f"{what}; the line is {code(line, 60)}" if line else what), mend


def refuse_tabs(text: str, file: str) -> None:
    """Refuse a line that is indented with a tab (SpecError)."""
    tab = _TAB.search(text)
    if tab:
        at = tab.group().index("\t")
        line = text.count("\n", 0, tab.start()) + 1
        raise SpecError("a tab at the start of a line", where=f"{file}:{line}:{at + 1}", mend="indent with spaces")
