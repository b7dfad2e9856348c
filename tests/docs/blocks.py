"""The runnable blocks of a Markdown page, what they show, and whether they gave that."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ANYTHING = "…"
"""Stands in shown output for the rest of a line, or, alone on its line, for any lines."""
RUNNABLE = ("sh", "python")
NOT_RUNNABLE = ("text", "toml")


@dataclass(frozen=True)
class Block:
    """One block of a page.

    line : where it begins, from 1
    shown : the text block right behind it; None where there is none
    """

    page: str
    line: int
    language: str
    code: str
    shown: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, one a line but for those that go on behind a backslash."""
        lines = self.code.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def blocks_of(path: Path, page: str) -> list[Block]:
    """All runnable blocks, in order.

    Raises ValueError for a block whose language says neither that it is run nor that it is not.
    """
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    found: list[Block] = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "code_block":
            raise ValueError(f"{page}:{_line(token.map)}: indented code says nothing of its language; use a fence")
        if token.type != "fence":
            continue
        if token.info in RUNNABLE:
            shown = after.content if after is not None and after.type == "fence" and after.info == "text" else None
            found.append(Block(page, _line(token.map), token.info, token.content, shown))
        elif token.info not in NOT_RUNNABLE:
            raise ValueError(
                f"{page}:{_line(token.map)}: {token.info or 'no language'}: use {', '.join(RUNNABLE + NOT_RUNNABLE)}"
            )
    return found


def _line(where: list[int] | None) -> int:
    return where[0] + 1 if where else 0


def first_difference(shown: str, real: str) -> str | None:
    """What of a shown output is not in the real one, in a sentence; None where it is as shown."""
    lines = [line.rstrip() for line in real.strip("\n").splitlines()]
    if _fits(shown.strip("\n").splitlines(), lines):
        return None
    patterns = [_pattern(line) for line in shown.strip("\n").splitlines() if line.strip() != ANYTHING]
    strange = [pattern.pattern for pattern in patterns if not any(pattern.fullmatch(line) for line in lines)]
    what = f"no line is as {strange[0]!r}" if strange else "its lines are there, in another order or with others between them"
    return f"{what}; it printed:\n{real}"


def _fits(shown: list[str], lines: list[str]) -> bool:
    """Whether lines are those shown, an ellipsis alone standing for any number."""
    reached = {0}  # how many real lines may have been used up
    for line in shown:
        if line.strip() == ANYTHING:
            reached = set(range(min(reached), len(lines) + 1)) if reached else reached
        else:
            pattern = _pattern(line)
            reached = {number + 1 for number in reached if number < len(lines) and pattern.fullmatch(lines[number])}
    return len(lines) in reached


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, line.rstrip().split(ANYTHING))))


def options_of(words: Iterable[str]) -> list[str]:
    """The options among the words of a command."""
    return [word.split("=")[0] for word in words if word.startswith("-") and not re.fullmatch(r"-?\d.*", word)]
