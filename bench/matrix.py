"""How long the default matrix takes: cold, with trainings known, with nothing changed; and beside a plain script."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure

KEPT = ("trainings",)
"""What the store still knows for a run in which training is not counted."""


def figures() -> list[Figure]:
    """The figures of whole runs of the default matrix."""
    with tempfile.TemporaryDirectory() as folder:
        store, results = Path(folder) / "store", Path(folder) / "results"
        explained = _matrix(Path(folder) / "explained", results, "--explain")
        cold = _matrix(store, results)
        warm = _matrix(store, results)
        for kind in store.iterdir():
            if kind.is_dir() and kind.name not in (*KEPT, "objects"):
                shutil.rmtree(kind)
        cpu_before = _cpu()
        untrained = _matrix(store, results)
        cpu = _cpu() - cpu_before
        plain = _timed("-m", "bench.plain", str(store))[0]
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    outside = 100 * (1 - untrained.library / cpu)
    return [
        Figure("default matrix with explanations, cold, training and identification included", explained.seconds, 180, "s"),
        Figure("default matrix without explanations, cold, training included", cold.seconds, 120, "s"),
        Figure("default matrix, nothing changed", warm.seconds, 5, "s"),
        Figure(f"{untrained.cells} cells, cold, training not counted", untrained.seconds, None, "s"),
        Figure("the same cells, one process, nothing else", plain, None, "s"),
        Figure("cells per second against the plain script", plain / untrained.seconds, 1.0, "×", at_most=False),
        Figure("CPU time outside the libraries' own calls and imports", outside, 25, "%"),
        Figure("largest process", peak, 1.5, "GiB"),
    ]


@dataclass(frozen=True)
class _Run:
    """Wall-clock seconds, CPU seconds inside the libraries, and cells of one run."""

    seconds: float
    library: float
    cells: int


def _matrix(store: Path, results: Path, explain: str = "--no-explain") -> _Run:
    places = ("--store", str(store), "--results", str(results))
    seconds, said = _timed("-m", "harness", "matrix", explain, "--train", *places, "--json")
    document = json.loads(said)
    return _Run(seconds, document["library_cpu_seconds"], document["cells"])


def _timed(*arguments: str) -> tuple[float, str]:
    started = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True, env=environment)
    return time.perf_counter() - started, done.stdout


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
