"""The studies beside the tables: each folder's page as HTML, its figures inside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

PAGE = "README.md"
TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
"""Figures that are shown; an image cannot run a script, whatever is in it."""
BUDGET = 1_500_000
"""Bytes that all figures may add to the page."""
_HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6"}


@dataclass(frozen=True)
class Study:
    """One study.

    left_out : figures that did not fit
    """

    name: str
    body: Markup
    left_out: tuple[str, ...] = ()


def studies(folder: Path) -> list[Study]:
    """Every folder of the results with a page, by name."""
    left = BUDGET
    found = []
    for page in sorted(folder.glob(f"*/{PAGE}")):
        study, spent = _study(page, left)
        left -= spent
        found.append(study)
    return found


def _study(page: Path, budget: int) -> tuple[Study, int]:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(page.read_text(encoding="utf-8"))
    shown: set[str] = set()
    left_out: list[str] = []
    spent = 0

    def place(path: str) -> str | None:
        nonlocal spent
        content = _figure(page.parent, path)
        if content is None or spent + len(content) > budget:
            left_out.append(path)
            return None
        spent += len(content)
        shown.add(path)
        return _data(path, content)

    _rewrite(tokens, place)
    body = parser.renderer.render(tokens, parser.options, {})
    for path in sorted(page.parent.glob("*.svg")):
        if path.name not in shown and path.name not in left_out and (address := place(path.name)) is not None:
            body += f'<figure><img src="{address}" alt="{Markup.escape(path.stem.replace("_", " "))}"></figure>\n'
    return Study(page.parent.name, Markup(body), tuple(dict.fromkeys(left_out))), spent


def _rewrite(tokens: Sequence[Token], place: Any) -> None:
    """Headings below the page's own; figures as data; addresses that lead nowhere from here as text."""
    for token in tokens:
        token.tag = _HEADINGS.get(token.tag, token.tag)
        token.attrs.pop("style", None)
        if token.type == "image":
            address = place(str(token.attrs.get("src", "")))
            if address is None:
                token.type, token.tag, token.attrs = "text", "", {}
            else:
                token.attrs["src"] = address
        if token.type == "link_open" and not str(token.attrs.get("href", "")).startswith(("https://", "http://")):
            token.attrs = {}
        _rewrite(token.children or (), place)


def _figure(folder: Path, path: str) -> bytes | None:
    """A figure of the study's own folder."""
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()) or file.suffix not in TYPES or not file.is_file():
        return None
    return file.read_bytes()


def _data(path: str, content: bytes) -> str:
    return f"data:{TYPES[Path(path).suffix]};base64,{base64.b64encode(content).decode('ascii')}"
