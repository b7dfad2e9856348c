"""The fingerprints of installed backends, identified once and kept in the store."""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.environments import Backend
from harness.explain.identify import identify
from harness.fingerprint import Fingerprint
from harness.matrix.keys import with_backend
from harness.matrix.live import LiveBackend
from harness.matrix.store import Store

LIMIT = 10.0
"""Seconds that one probe may take."""


def import_fingerprint(backend: Backend, store: Store) -> Fingerprint:
    """What a backend's importer makes of NIR's neurons, from the store or by probing it now."""
    key = with_backend(backend, {"what": "import fingerprint", "probes": _probes_digest()})
    known = store.get("fingerprints", key)
    if known is not None:
        return Fingerprint.from_dict(known)
    with LiveBackend(backend, limit=LIMIT) as run:
        found = identify(run, name=backend.name)
    store.put("fingerprints", key, found.as_dict())
    return found


def _probes_digest() -> str:
    """Of the sources that identify: other probes may find another rule."""
    folder = Path(__file__).resolve().parents[1]
    sources = [*sorted((folder / "explain").rglob("*.py")), *sorted((folder / "reference").rglob("*.py")), folder / "rule.py"]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
