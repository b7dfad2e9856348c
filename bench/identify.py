"""How long it takes to identify a backend's rules: its importer's, and those of its own neurons."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.figures import Figure

SLOWEST = 20.0
"""Seconds that the rules of one backend may take."""


def figures() -> list[Figure]:
    """Seconds for each installed library, with an empty store."""
    import torch

    from harness.environments import backends
    from harness.matrix.fingerprints import LIMIT, import_fingerprint, native_fingerprints
    from harness.matrix.live import LiveBackend
    from harness.matrix.store import Store

    torch.set_num_threads(1)
    found = []
    for each in backends():
        if not each.installed or each.name in ("reference", "exact"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            store, begun = Store(Path(folder)), time.perf_counter()
            with LiveBackend(each, limit=LIMIT) as live:
                import_fingerprint(each, store, live=live)
                imported = time.perf_counter() - begun
                native_fingerprints(each, store, live=live)
            found.append(Figure(f"rules of {each.name}", time.perf_counter() - begun, SLOWEST, "s"))
            found.append(Figure("  of them its importer's", imported, None, "s"))
    return found
