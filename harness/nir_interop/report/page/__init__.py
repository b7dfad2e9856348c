"""``report.html``: everything that was found as one file that opens from disk and asks the network for nothing."""

from __future__ import annotations

from pathlib import Path

from nir_interop.report.page.details import Details, keep, kept
from nir_interop.report.page.model import Page, page_of
from nir_interop.report.page.rendering import render
from nir_interop.schema import write_text

NAME = "report.html"


def write_page(page: Page, folder: Path) -> Path:
    """Write report.html into a folder; returns its path."""
    return write_text(folder / NAME, render(page))


__all__ = ["NAME", "Details", "Page", "keep", "kept", "page_of", "render", "write_page"]
