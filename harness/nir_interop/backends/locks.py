"""Which versions a backend's environment holds, as a file beside its adapter: what is installed is what was tried.

The file, ``locks/NAME.txt`` in the package of the adapter, has a line ``name==version`` for each distribution that the
environment holds itself; what it takes from the environment beside it is not in it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

from nir_interop.backends.environments import Backend, canonical, sites
from nir_interop.errors import BackendMissing

FOLDER = "locks"
_NOT_ONES = ("pip", "setuptools", "wheel")
"""Of the interpreter, not of the library."""


def lock_of(backend: Backend) -> Path | None:
    """Where the lock of a backend lies, or would; None for an adapter that is a module alone."""
    found = importlib.util.find_spec(backend.module.partition(":")[0].partition(".")[0])
    places = list(found.submodule_search_locations or ()) if found is not None else []
    return Path(places[0]) / FOLDER / f"{canonical(backend.library)}.txt" if places else None


def locked(backend: Backend) -> str:
    """The text of a lock: the versions in the backend's environment.

    Raises BackendMissing where it has none of its own.
    """
    folders = sites(backend.python)
    if backend.own_interpreter or not folders:
        raise BackendMissing(f"{backend.name}: has no environment of its own; nir-interop backends install {backend.library}")
    return lock_text(backend.library, folders[0])


def lock_text(name: str, site: Path) -> str:
    """The versions in a site-packages folder, one a line, for pip's ``--constraint``."""
    head = f"# What 'nir-interop backends install {name}' installs; 'nir-interop backends lock {name}' writes it."
    return "\n".join([head, *sorted(_lines(site)), ""])


def _lines(site: Path) -> Iterable[str]:
    for each in distributions(path=[str(site)]):
        name = canonical(each.metadata["Name"])
        if name not in _NOT_ONES:
            version, _, _ = each.version.partition("+")
            yield f"{name}=={version}"
