"""Where the real data lies, and small MNIST-like files."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

DATA_VARIABLE = "NIR_INTEROP_DATA"

# Looked at once: the fixture below empties it for every test.
_NAMED = os.environ.get(DATA_VARIABLE)


@pytest.fixture
def real_data() -> Path:
    """The folder with the real data; the test is skipped where there is none."""
    folder = Path(_NAMED) if _NAMED else Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {DATA_VARIABLE} is not set and there is no ../shared/data beside the repository")
    return folder


@pytest.fixture(autouse=True)
def no_named_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds data through the caller's environment by accident."""
    monkeypatch.delenv(DATA_VARIABLE, raising=False)


def idx_bytes(values: np.ndarray) -> bytes:
    """Unsigned bytes in the idx format."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.astype(np.uint8).tobytes()


@pytest.fixture
def small_mnist() -> dict[str, bytes]:
    """Seven training and three test images in MNIST's four files, by their names without .gz."""
    generator = np.random.default_rng(0)
    files = {}
    for stem, samples in (("train", 7), ("t10k", 3)):
        files[f"{stem}-images-idx3-ubyte"] = idx_bytes(generator.integers(0, 256, (samples, 28, 28)))
        files[f"{stem}-labels-idx1-ubyte"] = idx_bytes(np.arange(samples))
    return files


@pytest.fixture
def write_mnist(tmp_path: Path, small_mnist: dict[str, bytes]) -> Callable[..., Path]:
    """Writes the small files into a layout under a data folder and gives the data folder."""

    def write(layout: str = "MNIST/raw", gzipped: bool = False) -> Path:
        folder = tmp_path / "data" / layout
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in small_mnist.items():
            (folder / (f"{name}.gz" if gzipped else name)).write_bytes(gzip.compress(content) if gzipped else content)
        return tmp_path / "data"

    return write
