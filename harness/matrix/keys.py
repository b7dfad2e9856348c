"""What an outcome depends on, as keys of the store: nothing is imported to compute them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import platform
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.environments import Backend

_HARNESS = Path(__file__).resolve().parents[1]
_WORKER = (
    *(f"matrix/{name}.py" for name in ("arrays", "capture", "job", "messages", "repeats", "worker")),
    *(f"{name}.py" for name in ("adapter", "compare", "errors", "learning", "networks", "recording", "vocabulary")),
    *(f"{name}.py" for name in ("safe_files", "safe_names", "wording")),
    "compare",
    "networks",
)
"""Sources that shape every outcome."""
_REFERENCE = ("reference", "graphs", "graphs.py", "rule.py")
"""Sources of the backends of our own."""
_PROBING = ("explaining", "fingerprints", "layered", "live", "native")
_EXPLAIN = ("explain", "fingerprint.py", *(f"matrix/{name}.py" for name in _PROBING))
"""Sources that identify and explain."""
_REWRITE = ("reconcile", *(f"matrix/{name}.py" for name in ("remains", "rewriting")))
"""Sources that reconcile."""
_STIMULI = ("stimuli.py", "stimuli", "datasets", "datasets.py", "networks", "networks.py")


def key(**parts: Any) -> str:
    """A name for everything that goes into an outcome."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def stimulus_key(**parts: Any) -> str:
    """A name for a stimulus or training samples, from the sources that make them."""
    return key(sources=_digest_of(_STIMULI), **parts)


@lru_cache(maxsize=64)
def _backend_key(name: str, module: str, versions: str, python: str, search: tuple[Path, ...]) -> str:
    own = _digest_of(_REFERENCE) if module.startswith("adapters.reference:") else ""
    return key(name=name, module=module, versions=versions, python=python, source=_adapter_digest(module, search), own=own)


def backend_key(backend: Backend) -> str:
    """A name for a backend as it is installed: versions, its adapter's source, and the harness's own sources."""
    python = platform.python_version() if backend.own_interpreter else str(backend.python)
    versions = json.dumps(dict(sorted(backend.versions.items())))
    return _backend_key(backend.name, backend.module, versions, python, backend.search) + _digest_of(_WORKER)


def with_backend(backend: Backend, parts: Mapping[str, Any]) -> str:
    """The key of something a backend does."""
    return key(backend=backend_key(backend), **parts)


def explanation_key(reference: Backend, backend: Backend | None = None, **parts: Any) -> str:
    """A name for what explaining gives: the reference does it; ``backend`` is what it asks, if any."""
    asked = None if backend is None else backend_key(backend)
    return key(reference=backend_key(reference), sources=_digest_of(_EXPLAIN), backend=asked, **parts)


def rewriting_key(reference: Backend, backend: Backend, **parts: Any) -> str:
    """A name for what reconciling gives: the reference does it, and asks ``backend``."""
    return explanation_key(reference, backend, rewriting=_digest_of(_REWRITE), **parts)


def _adapter_digest(module: str, search: Iterable[Path]) -> str:
    """Digest of an adapter's module and of what adapters share: ``*_support.py`` and ``*_import.py`` beside it."""
    name = module.split(":")[0]
    files: list[Path] = []
    for folder in search:
        path = folder.joinpath(*name.split(".")).with_suffix(".py")
        if path.exists():
            files = [path]
    if not files:
        try:
            found = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            found = None
        files = [Path(found.origin)] if found is not None and found.origin else []
    folders = {path.parent for path in files}
    files += sorted(other for folder in folders for kind in ("support", "import") for other in folder.glob(f"*_{kind}.py"))
    return _digest(files)


@lru_cache(maxsize=16)
def _digest_of(names: tuple[str, ...]) -> str:
    files: list[Path] = []
    for name in names:
        path = _HARNESS / name
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.exists() else []
    return _digest(files)


def _digest(files: Iterable[Path]) -> str:
    sha = hashlib.sha256()
    for path in files:
        sha.update(f"{path.name}\0".encode() + path.read_bytes())
    return sha.hexdigest()
