"""Fixtures of all tests: where the real data lies, one thread for the libraries, and processes that can be interrupted.

Every run draws the same examples; ``HYPOTHESIS_PROFILE=exploring`` looks for others.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("exploring")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that runs the tests in the background has them ignore interrupts, and the processes that they start and interrupt too.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(os.environ.get("NIR_INTEROP_SHARED", Path(__file__).parents[2] / "shared"))


def _folder(path: Path, holds: str) -> Path:
    """A folder that must be there in CI, and whose absence skips a test elsewhere."""
    if path.is_dir():
        return path
    reason = f"needs {holds}: set NIR_INTEROP_DATA, or put it beside the checkout in shared/"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def paper() -> Path:
    """The published graphs and traces of Pedersen et al. 2024."""
    return _folder(SHARED / "paper", "the published graphs and traces")


@pytest.fixture(scope="session")
def data() -> Path:
    """Real recordings: MNIST, N-MNIST, Braille."""
    return _folder(Path(os.environ.get("NIR_INTEROP_DATA", SHARED / "data")), "the real data")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The matrix first: what it finds out about each library, later tests need not find out again."""
    items.sort(key=lambda item: "roundtrip" not in item.path.parts)
