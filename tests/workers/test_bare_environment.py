"""What runs in a library's own environment needs numpy, and the library; nothing of this project's other dependencies."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.matrix.fakes import ROOT

ABSENT = (
    "torch",
    "nir",
    "nirtorch",
    "h5py",
    "pandas",
    "pandera",
    "execnet",
    "typer",
    "rich",
    "sklearn",
    "tonic",
    "pooch",
    "scipy",
)


@pytest.mark.parametrize("module", ["nir_interop.workers.worker", "nir_interop.backends.adapter"])
def test_the_worker_imports_numpy_alone(module: str) -> None:
    text = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'harness')!r}]\n"
        f"sys.modules.update(dict.fromkeys({ABSENT!r}))\n"  # None: importing it raises ImportError
        f"import {module}\n"
        "print(*sorted(name for name in sys.modules if name.startswith('nir_interop.')))\n"
    )
    loaded = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.split()
    allowed = ("arrays", "backends", "compare", "errors", "learning", "memory", "networks", "npz", "printable", "recording")
    allowed += ("safe_files", "safe_names", "verdict", "vocabulary", "workers")
    assert {name.split(".")[1] for name in loaded} <= set(allowed)
