"""The page as one file: templates, style, script and data, under a policy that lets nothing in from outside."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nir_interop.report.cells import LETTERS, kind, letter, place
from nir_interop.report.page.model import Page
from nir_interop.schema import REPORT, SOURCES
from nir_interop.vocabulary import ADAPTERS_OWN, Blame, Cause, Mode, Status

SCRIPTS = ("basics", "filters", "matrix", "pictures", "cell", "answer", "page")
"""What the script is put together from; each uses what those before it define, and runs when the last does."""
_PACKAGE = "nir_interop.report.page"
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""What could end a script element, or is a line's end to some; in JSON all of it may be written as escapes."""


def render(page: Page) -> str:
    """The page as HTML; the same results give the same bytes."""
    style, script = _source("page.css"), _script()
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            page=page,
            style=Markup(style),
            script=Markup(script),
            data=Markup(as_script_data(page.cells())),
            policy=policy(style, script),
            statuses=list(Status),
            blames=list(Blame),
            causes=list(Cause),
            modes=list(Mode),
            letters=LETTERS,
            tables=(REPORT, SOURCES),
            adapters_own=ADAPTERS_OWN,
        )
    )


def policy(style: str, script: str) -> str:
    """The content security policy: this style, this script and embedded images; nothing else, from nowhere."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def as_script_data(document: Any) -> str:
    """JSON that may stand in a script element whatever is in it."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return "".join(_UNSAFE.get(letter, letter) for letter in text)


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": _percent, "number": _number, "words": lambda text: str(text).replace("_", " ")}
    environment.globals |= {
        "kind": kind, "letter": letter, "place": place,
    }  # fmt: skip
    return environment


def _source(name: str) -> str:
    return files(_PACKAGE).joinpath("templates", name).read_text(encoding="utf-8")


def _script() -> str:
    """All that runs, in a scope of its own."""
    return '"use strict";\n(() => {\n' + "\n".join(_source(f"{name}.js") for name in SCRIPTS) + "})();\n"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
