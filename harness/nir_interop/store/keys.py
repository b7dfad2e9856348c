"""What an outcome depends on, as keys of the store: nothing is imported to compute them.

Sources count as :mod:`nir_interop.store.imports` finds them: those of the worker and of the module that does the work, with
all that they import, and of the adapter.  What imports nothing of a module is not measured again when that changes.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from nir_interop.backends.environments import Backend
from nir_interop.store.imports import Sources
from nir_interop.workers.job_kinds import module_of

_WORKER = "nir_interop.workers.worker"
_LIVE = ("meaning", "native", "native_labels")
"""Kinds of job that a library is asked for while it is identified, explained and reconciled."""
_AFTER = {"source": ("nir_interop.transfer.graph_facts",), "rewrite": ("nir_interop.transfer.graph_facts",)}
"""Kind of job → modules that the run itself makes part of its outcome with."""
_STIMULI = ("nir_interop.stimuli", "nir_interop.networks")
_FINGERPRINTS = "nir_interop.transfer.fingerprints"


def key(**parts: Any) -> str:
    """A name for everything that goes into an outcome."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def stimulus_key(**parts: Any) -> str:
    """A name for a stimulus or training samples, from the sources that make them."""
    return key(sources=_digest(_STIMULI), **parts)


def backend_key(backend: Backend, *kinds: str) -> str:
    """A name for a backend as it is installed: versions, its adapter's sources, and those that do these kinds of job."""
    modules = [_WORKER, *(module_of(kind) for kind in kinds), *(each for kind in kinds for each in _AFTER.get(kind, ()))]
    adapter = backend.module.partition(":")[0]
    python = platform.python_version() if backend.own_interpreter else str(backend.python)
    return key(
        name=backend.name,
        module=backend.module,
        versions=dict(sorted(backend.versions.items())),
        python=python,
        adapter=_digest((adapter,), backend.search),
        sources=_digest(tuple(dict.fromkeys(modules))),
        surroundings=_surroundings(),
    )


def with_backend(backend: Backend, parts: Mapping[str, Any]) -> str:
    """The key of something a backend does: of the ``kind`` that stands in the parts, or of starting it where none does."""
    kinds = (parts["kind"],) if "kind" in parts else ()
    return key(backend=backend_key(backend, *kinds), **parts)


def fingerprint_key(backend: Backend, **parts: Any) -> str:
    """A name for rules that were identified by asking a backend."""
    return key(backend=backend_key(backend, *_LIVE), sources=_digest((_FINGERPRINTS,)), **parts)


def explanation_key(reference: Backend, backend: Backend | None = None, *, kind: str = "explain", **parts: Any) -> str:
    """A name for what explaining gives: the reference does it; ``backend`` is what it asks, if any.

    kind : of the job
    """
    asked = None if backend is None else backend_key(backend, *_LIVE)
    return key(reference=backend_key(reference, kind), backend=asked, **parts)


def rules_key(reference: Backend, backend: Backend) -> str:
    """A name for the rules of a backend, both of its importer and of its own neurons."""
    return explanation_key(reference, backend, kind="identify", what="rules")


def rewriting_key(reference: Backend, backend: Backend, **parts: Any) -> str:
    """A name for what reconciling gives: the reference does it, and asks ``backend``."""
    return explanation_key(reference, backend, kind="rewrite", **parts)


def primitives_key(reference: Backend, backend: Backend, **parts: Any) -> str:
    """A name for what a backend makes of all primitives: this process judges, by the reference."""
    return explanation_key(reference, backend, sources=_digest(("nir_interop.conformance.primitives.running",)), **parts)


def sources_key(*modules: str) -> str:
    """SHA-256 of modules and of all that they import."""
    return _digest(modules)


def forget() -> None:
    """Look at the sources again: they are read once a process."""
    _digest.cache_clear()
    _sources.cache_clear()
    _surroundings.cache_clear()


@lru_cache(maxsize=64)
def _digest(modules: tuple[str, ...], folders: tuple[Path, ...] = ()) -> str:
    return _sources(folders).digest(*modules)


@lru_cache(maxsize=16)
def _sources(folders: tuple[Path, ...]) -> Sources:
    return Sources(folders)


@lru_cache(maxsize=1)
def _surroundings() -> str:
    """What workers are started with."""
    from nir_interop.workers.pool import ENVIRONMENT

    return key(**ENVIRONMENT)
