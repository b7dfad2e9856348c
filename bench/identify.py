"""How long it takes to identify a backend's rules: its importer's, and those of its own neurons."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from pathlib import Path

from bench.figures import Figure

SLOWEST = 20.0
"""Seconds that the rules of one backend may take."""


def figures() -> list[Figure]:
    """Seconds for each installed library, with an empty store, in a process of its own."""
    from nir_interop.backends.environments import backends

    found = []
    for each in backends():
        if each.installed and each.name not in ("reference", "exact"):
            with multiprocessing.get_context("spawn").Pool(1) as process:
                imported, both = process.apply(seconds, (each.name,))
            found.append(Figure(f"rules of {each.name}", both, SLOWEST, "s"))
            found.append(Figure("  of them its importer's", imported, None, "s"))
    return found


def seconds(name: str) -> tuple[float, float]:
    """Until the importer's rules are known, and until the library's own are."""
    import torch

    from nir_interop.backends.environments import backend
    from nir_interop.store.store import Store
    from nir_interop.transfer.fingerprints import LIMIT, import_fingerprint, native_fingerprints
    from nir_interop.workers.live import LiveBackend

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, LiveBackend(backend(name), limit=LIMIT) as live:
        store, begun = Store(Path(folder)), time.perf_counter()
        import_fingerprint(live.backend, store, live=live)
        imported = time.perf_counter() - begun
        native_fingerprints(live.backend, store, live=live)
        return imported, time.perf_counter() - begun
