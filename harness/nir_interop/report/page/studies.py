"""The studies beside the tables: each folder's page as HTML, its figures inside it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
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
_HEADINGS = {"h1": "h2"}
"""A heading as large as the page's own, to what it becomes."""


@dataclass(frozen=True)
class StudyPage:
    """One study.

    title : the first heading of its page, which says what it asks; the body is what follows
    left_out : figures that did not fit
    """

    name: str
    title: str
    body: Markup
    left_out: tuple[str, ...] = ()


def studies(folder: Path) -> list[StudyPage]:
    """Every folder of the results with a page, by name."""
    left = BUDGET
    found = []
    for page in sorted(folder.glob(f"*/{PAGE}")):
        study, spent = _study(page, left)
        left -= spent
        found.append(study)
    return found


def _study(page: Path, budget: int) -> tuple[StudyPage, int]:
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

    title = _title(tokens) or page.parent.name
    _rewrite(tokens, place)
    body = parser.renderer.render(tokens, parser.options, {})
    for path in sorted(page.parent.glob("*.svg")):
        if path.name not in shown and path.name not in left_out and (address := place(path.name)) is not None:
            body += f'<figure><img src="{address}" alt="{Markup.escape(path.stem.replace("_", " "))}"></figure>\n'
    return StudyPage(page.parent.name, title, Markup(body), tuple(dict.fromkeys(left_out))), spent


def _title(tokens: list[Token]) -> str:
    """Take the heading at the beginning of a page out of it."""
    if len(tokens) < 3 or tokens[0].type != "heading_open" or tokens[0].tag != "h1":
        return ""
    title = "".join(each.content for each in tokens[1].children or ())
    del tokens[:3]
    return title


def _broken(children: Sequence[Token]) -> Iterator[Token]:
    """The only markup that pages may have inside a table's cell: a line break."""
    for token in children:
        parts = token.content.split("<br>") if token.type == "text" else []
        if len(parts) < 2:
            yield token
            continue
        for number, part in enumerate(parts):
            if number:
                yield Token("hardbreak", "br", 0)
            yield Token("text", "", 0, content=part)


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
        if token.children:
            token.children = list(_broken(token.children))
            _rewrite(token.children, place)


def _figure(folder: Path, path: str) -> bytes | None:
    """A figure of the study's own folder."""
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()) or file.suffix not in TYPES or not file.is_file():
        return None
    return file.read_bytes()


def _data(path: str, content: bytes) -> str:
    return f"data:{TYPES[Path(path).suffix]};base64,{base64.b64encode(content).decode('ascii')}"
