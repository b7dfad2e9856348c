"""Docstrings as Markdown, those of attributes too; and tables."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from itertools import pairwise
from types import ModuleType

_MATH_BLOCK = re.compile(r"^( *)\.\. math:: *((?:.+\n?)+)", re.MULTILINE)
_INLINE_MATH = re.compile(r":math:`([^`]+)`")
_ROLE = re.compile(r":\w+:`~?([^`]+)`")


def markdown(docstring: str, links: dict[str, str] | None = None) -> str:
    """A docstring's reStructuredText as Markdown, with ``$…$`` for equations.

    links : the last part of a name → where it leads; other names are code
    """

    def named(found: re.Match[str]) -> str:
        name = found[1].rsplit(".", 1)[-1]
        where = (links or {}).get(name)
        return f"[`{name}`]({where})" if where else f"`{name}`"

    text = inspect.cleandoc(docstring)
    text = _INLINE_MATH.sub(lambda found: f"${' '.join(found[1].split())}$", text)
    text = _MATH_BLOCK.sub(lambda found: f"$$\n{' '.join(found[2].split())}\n$$\n", text)
    text = _ROLE.sub(named, text)
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def source(module: ModuleType) -> str:
    """A module as Markdown: its docstring, then its code as it stands in the file."""
    text = inspect.getsource(module)
    code = text.splitlines()[ast.parse(text).body[0].end_lineno :]
    return "\n".join([markdown(module.__doc__ or ""), "", "```py", *code, "```", ""])


def summary(docstring: str | None) -> str:
    """A docstring's first paragraph on one line, as Markdown."""
    return " ".join(markdown(docstring or "").split("\n\n")[0].split())


def constants(module: ModuleType) -> dict[str, str]:
    """Name of a module's constant → the docstring that stands behind it."""
    return _behind(ast.parse(inspect.getsource(module)).body)


def _behind(body: list[ast.stmt]) -> dict[str, str]:
    found: dict[str, str] = {}
    for statement, after in pairwise(body):
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        says = after.value if isinstance(after, ast.Expr) else None
        if isinstance(says, ast.Constant) and isinstance(says.value, str):
            found |= {target.id: says.value for target in targets if isinstance(target, ast.Name)}
    return found


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """A Markdown table; a bar in a cell is escaped."""
    names = list(head)
    body = [[cell.replace("|", r"\|").replace("\n", " ") for cell in row] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in (names, ["---"] * len(names), *body)]
