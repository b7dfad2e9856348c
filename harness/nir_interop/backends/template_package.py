"""A package for a library's adapter, written from a template: what a third party begins with."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from nir_interop.backends.environments import backends, canonical
from nir_interop.errors import BadInput

_TEMPLATE = Path(__file__).with_name("template")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_.][A-Za-z0-9]+)*")


def new_package(name: str, folder: Path | None = None) -> list[Path]:
    """Write a package with an adapter that is yet to be written, and give its files.

    name : the library's, as pip knows it; the backend is called so
    folder : by default ``nir-interop-NAME`` in the working directory; it must not be there, or be empty

    Raises BadInput for what cannot be a package's name, a backend that there is already, and a folder that holds something.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r}: is no package's name; letters, digits and single - _ . between them, mylib for instance")
    there = [each.name for each in backends() if canonical(each.name) == canonical(name)]
    if there:
        raise BadInput(f"{name}: there is a backend {there[0]} already; nir-interop backends lists all")
    package = f"nir-interop-{canonical(name)}"
    folder = Path(package) if folder is None else folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder}: is there already; name another folder with -o")
    module = package.replace("-", "_")
    words = {
        "name": canonical(name),
        "package": package,
        "module": module,
        "kind": "".join(part.capitalize() for part in canonical(name).split("-")),
    }
    files = {
        "pyproject.toml": "pyproject.toml",
        "adapter.py": f"{module}/__init__.py",
        "known_issues.toml": f"{module}/known_issues.toml",
        "test_adapter.py": "tests/test_adapter.py",
    }
    written = []
    for source, target in files.items():
        text = Template((_TEMPLATE / f"{source}.txt").read_text(encoding="utf-8")).substitute(words)
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
