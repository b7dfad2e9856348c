"""LaTeX as MathML, at build time: the site needs no script and no font for its equations."""

from __future__ import annotations

import re
from html import escape
from xml.etree import ElementTree

from latex2mathml.converter import convert

_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[^\\]", re.DOTALL)


class BadMath(ValueError):
    """An equation that is not LaTeX, or has a command that is not known."""


def mathml(latex: str, *, display: bool = False) -> str:
    """An equation as a ``math`` element; its LaTeX is the text for those who cannot see it.

    Raises BadMath for a command that is not known, or a brace too many or too few.
    """
    text = " ".join(latex.split())
    try:
        written = convert(text, display="block" if display else "inline")
    except Exception as error:  # the converter's own have no common class
        raise BadMath(f"{text}: {type(error).__name__} {error}".strip()) from error
    # A command that the converter does not know, it writes as it is.
    unknown = [word for word in ElementTree.fromstring(written).itertext() if "\\" in word]
    if unknown or _open(text):
        raise BadMath(f"{text}: {unknown[0] if unknown else 'a brace too many or too few'}")
    return written.replace("<math ", f'<math aria-label="{escape(text)}" ', 1)


def _open(text: str) -> int:
    tokens = _TOKEN.findall(text)
    return tokens.count("{") - tokens.count("}")


def parts(latex: str) -> list[str]:
    """An equation cut where its parts stand apart (``\\quad``), so that a narrow page may put them on lines of their own."""
    found, depth, part = [], 0, ""
    for token in _TOKEN.findall(latex):
        depth += (token == "{") - (token == "}")
        if depth == 0 and token in (r"\quad", r"\qquad"):
            found.append(part)
            part = ""
        else:
            part += token
    return [each.strip() for each in [*found, part] if each.strip()]
