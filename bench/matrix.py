"""How long the default matrix takes: cold, with trainings known, with nothing changed; and beside a plain script."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figure

KEPT = ("trainings",)
"""What the store still knows for a run in which training is not counted."""


def figures() -> list[Figure]:
    """The figures of whole runs of the default matrix."""
    with tempfile.TemporaryDirectory() as folder:
        store, results = Path(folder) / "store", Path(folder) / "results"
        cold = _matrix(store, results)
        warm = _matrix(store, results)
        for kind in store.iterdir():
            if kind.is_dir() and kind.name not in (*KEPT, "objects"):
                shutil.rmtree(kind)
        started, cpu_before = time.perf_counter(), _cpu()
        _matrix(store, results)
        untrained, cpu = time.perf_counter() - started, _cpu() - cpu_before
        library, cells = _library_seconds(results)
        plain = _timed([sys.executable, "-m", "bench.plain", str(store)])
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return [
        Figure("default matrix, cold, training included", cold, 120, "s"),
        Figure("default matrix, nothing changed", warm, 5, "s"),
        Figure(f"{cells} cells, cold, training not counted", untrained, None, "s"),
        Figure("the same cells, one process, nothing else", plain, None, "s"),
        Figure("cells per second against the plain script", plain / untrained, 1.0, "×", at_most=False),
        Figure("CPU time outside the libraries", 100 * (1 - library / cpu), 25, "%"),
        Figure("largest process", peak, 1.5, "GiB"),
    ]


def _matrix(store: Path, results: Path) -> float:
    return _timed([sys.executable, "-m", "harness", "matrix", "--store", str(store), "--results", str(results), "--json"])


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return time.perf_counter() - started


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _library_seconds(results: Path) -> tuple[float, int]:
    """CPU seconds inside the libraries, their imports included, and how many cells there were."""
    import json

    from harness.schema import TIMINGS, read_table

    table = read_table(results / "timings.csv", TIMINGS)
    fresh = table[~table["cached"]]
    environment = json.loads((results / "environment.json").read_text())
    return float(fresh["library_seconds"].sum()), len(table[table["kind"] == "cell"]) + 0 * len(environment)
