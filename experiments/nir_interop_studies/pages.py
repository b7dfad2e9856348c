"""Pages of studies: prose in ``<study>/templates/*.md.j2``, numbers and tables handed in."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from nir_interop_studies.common import markdown_table


def page(study: str, template: str = "page.md.j2", **values: Any) -> str:
    """A template of a study, filled in.

    In a template ``table(columns, rows)`` writes a Markdown table, and a line of nothing but a statement leaves no line.
    Raises jinja2.UndefinedError for a value that is not given.
    """
    loader = PackageLoader(f"nir_interop_studies.{study}")
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["table"] = lambda columns, rows: "\n".join(markdown_table(columns, rows))
    return environment.get_template(template).render(values) + "\n"
