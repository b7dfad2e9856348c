"""What tests know of the installed libraries: identified once, in the store of this checkout, for all processes that run tests.

``make matrix`` keeps it in the same place.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from nir_interop.backends.environments import SUITE, Backend, backend, backends
from nir_interop.fingerprint import Fingerprint
from nir_interop.store.store import Store
from nir_interop.transfer.fingerprints import import_fingerprint
from nir_interop.workers.live import LiveBackend

STORE = Path(os.environ.get("NIR_INTEROP_STORE", Path(__file__).parents[1] / ".nir-interop"))
"""The store of all tests that are not about stores; ``conftest.py`` has every command use it that names none."""


CORE = tuple(
    each.name for each in backends() if each.package == SUITE and each.own and not each.apart and each.name == each.library
)
"""The libraries that this project's own environment holds: what is tested with each of them lives nowhere else."""


@contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Other processes that want the same wait, so that they then find it."""
    STORE.mkdir(parents=True, exist_ok=True)
    with (STORE / f"{what}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def installed(name: str) -> Backend:
    """A library; a test that asks for one that is not installed is skipped."""
    library = backend(name)
    if library.missing:
        pytest.skip(library.hint)
    return library


_RUNNING: dict[str, LiveBackend] = {}


def running(name: str) -> LiveBackend:
    """An installed library, live: one process of it for all tests of this process, for to start one takes seconds."""
    if name not in _RUNNING:
        _RUNNING[name] = LiveBackend(installed(name))
    return _RUNNING[name]


def end_running() -> None:
    """End the libraries' processes."""
    while _RUNNING:
        _RUNNING.popitem()[1].close()


@cache
def fingerprint_of(name: str) -> Fingerprint:
    """The import side of an installed library."""
    with one_at_a_time(f"tests-{name}"):
        return import_fingerprint(backend(name), Store(STORE))


def knowing_store(folder: Path, known: Path = STORE) -> Path:
    """A new store in a folder that knows the libraries' rules, as far as another does, and nothing else."""
    made = folder / "store"
    made.mkdir(parents=True)
    if (known / "fingerprints").is_dir():
        shutil.copytree(known / "fingerprints", made / "fingerprints")
    return made
