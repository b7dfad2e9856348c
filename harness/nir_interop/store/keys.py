"""What an outcome depends on, as keys of the store: nothing is imported to compute them.

Sources count as :mod:`nir_interop.store.imports` finds them, from the functions that make the outcome: those of the worker, of
the module that a job names as doing it, of what the run makes of the files that it leaves, of the adapter, and all that these
import.  A library that is asked while something else is done (:mod:`nir_interop.workers.live`) counts with the jobs that
it can be asked for there.  What imports nothing of a module is not measured again when that changes.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from nir_interop.backends.environments import ENTRY_POINT_GROUP, Backend, dependencies, python_version
from nir_interop.store.graph_facts import graph_facts
from nir_interop.store.imports import Sources
from nir_interop.workers.jobs import GRAPH, KINDS, Identify, Job, identity

_WORKER, _LIVE = "nir_interop.workers.worker", "nir_interop.workers.live"


def key(**parts: Any) -> str:
    """A name for everything that goes into an outcome."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def job_key(job: Job[Any], backend: Backend, asks: Backend | None = None) -> str:
    """A name for what comes of a job that a backend's worker does.

    asks : the backend that the worker asks meanwhile, if any
    """
    return key(job=identity(job), backend=backend_key(backend, *sources_of(type(job))), asks=asks and live_key(asks))


def made_key(*modules: str, asks: Backend | None = None, **parts: Any) -> str:
    """A name for what these modules make in this process, from ``parts`` and by asking a backend, if any."""
    return key(sources=sources_key(*modules), asks=asks and live_key(asks), **parts)


def rules_key(reference: Backend, backend: Backend) -> str:
    """A name for the rules of a backend, both of its importer and of its own neurons."""
    return job_key(Identify(), reference, backend)


def backend_key(backend: Backend, *modules: str) -> str:
    """A name for a backend as it is installed: versions, its adapter's sources, the worker's, and those of modules.

    Versions are those of all that it asks for, and of what these ask for.  Of its adapter counts the whole package, data and
    all; of a package with several backends, the modules that its adapter imports.
    """
    adapter = backend.module.partition(":")[0]
    return key(
        name=backend.name,
        module=backend.module,
        versions=_installed(backend.python, backend.distributions) | dict(sorted(backend.versions.items())),
        python=python_version(backend),
        adapter=_digest((adapter,), backend.search),
        package=_package(adapter.partition(".")[0], backend.search),
        sources=_digest((_WORKER, *modules)),
        surroundings=_surroundings(),
    )


def live_key(backend: Backend) -> str:
    """A name for a backend and all that it can be asked for by a process that has it running."""
    asked = [kind for kind in KINDS.values() if f"{kind.__module__}.{kind.__name__}" in _sources(()).imports(_LIVE)]
    return backend_key(backend, *(module for kind in asked for module in sources_of(kind)))


def sources_of(kind: type[Job[Any]]) -> list[str]:
    """The modules that do a kind of job, in a worker and in the run."""
    there = [kind.work.partition(":")[0]] if kind.work else []
    return [*there, *([graph_facts.__module__] if GRAPH in kind.leaves else [])]


def sources_key(*modules: str) -> str:
    """SHA-256 of modules and of all that they import."""
    return _digest(modules)


def forget() -> None:
    """Look at the sources again: they are read once a process."""
    _digest.cache_clear()
    _sources.cache_clear()
    _surroundings.cache_clear()
    _installed.cache_clear()
    _package.cache_clear()


@cache
def _digest(modules: tuple[str, ...], folders: tuple[Path, ...] = ()) -> str:
    return _sources(folders).digest(*modules)


@cache
def _sources(folders: tuple[Path, ...]) -> Sources:
    return Sources(folders)


@cache
def _installed(python: Path, distributions: tuple[str, ...]) -> dict[str, str]:
    return dependencies(Backend("", "", distributions, python=python))


@cache
def _package(top: str, folders: tuple[Path, ...]) -> str:
    """SHA-256 of all that is in the package of one backend alone; empty for one that has several."""
    held = [point for point in entry_points(group=ENTRY_POINT_GROUP) if point.module.partition(".")[0] == top]
    return _sources(folders).whole(top) if len(held) == 1 else ""


@cache
def _surroundings() -> str:
    """What workers are started with."""
    from nir_interop.workers.environment import ENVIRONMENT

    return key(**ENVIRONMENT)
