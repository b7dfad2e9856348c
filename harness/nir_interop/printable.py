"""How names and numbers of a file that nobody vouches for are put into a message: short, printable, one line."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

LONGEST_NAME = 48


def shown(name: object) -> str:
    """A name in quotes: escaped to printable ASCII, shortened in the middle."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)
    cut = len(text) > LONGEST_NAME
    text = text[: LONGEST_NAME - 12] if cut else text
    escaped = text.encode("unicode_escape").decode("ascii").replace("'", "\\'")
    if len(escaped) > LONGEST_NAME:
        escaped, cut = escaped[: LONGEST_NAME - 12], True
    return f"'{escaped}…'" if cut else f"'{escaped}'"


def listed(names: Iterable[str], most: int = 6) -> str:
    """Names for a sentence, printable: all of them, or the first two, the last, and how many there are."""
    all_of_them = [printable(name) for name in names]
    if len(all_of_them) <= most:
        return ", ".join(all_of_them)
    return f"{all_of_them[0]}, {all_of_them[1]}, … {all_of_them[-1]} ({len(all_of_them)})"


def printable(text: str) -> str:
    """A text as it is, but what a terminal would act on (escapes, line breaks, changes of direction) as Python writes it."""
    return text if text.isprintable() else "".join(each if each.isprintable() else _escape(each) for each in text)


def shell_word(text: str) -> str:
    """A text as one word of a shell, printable: with the shell's own escapes where there is something to escape."""
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + printable(text.replace("\\", "\\\\").replace("'", "\\'")) + "'"


def markdown(text: str) -> str:
    """A text that shows as it is in Markdown, on one line."""
    flat = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#&" else letter for letter in flat)


def path_word(path: object) -> str:
    """A path as one word of a shell, which no program takes for an option."""
    text = str(path)
    return shell_word(f"./{text}" if text.startswith("-") else text)


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as Python writes it, shortened."""
    return str(shape) if len(shape) <= 6 else f"({', '.join(map(str, shape[:5]))}, … {len(shape)} dimensions)"
