"""Fixtures of all tests: where the real data lies, one thread for the libraries, and processes that can be interrupted.

Every run draws the same examples, without a deadline; ``HYPOTHESIS_PROFILE=brief`` fewer of them, ``exploring`` others.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.places import PYTHONPATH

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("brief", derandomize=True, deadline=None, max_examples=12)
settings.register_profile("exploring", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that runs the tests in the background has them ignore interrupts, and nohup hang-ups; so do processes that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Processes that tests start run these sources, too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (PYTHONPATH, os.environ.get("PYTHONPATH"))))

# What is found out about the installed libraries is kept where `make matrix` keeps it, and known to all tests and commands.
os.environ.setdefault("NIR_INTEROP_STORE", str(Path(__file__).parents[1] / ".nir-interop"))

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


@pytest.fixture(scope="session", autouse=True)
def libraries_that_run() -> Iterator[None]:
    """Ends the processes of libraries that tests share (``tests/known.py``)."""
    yield
    known = sys.modules.get("tests.known")
    if known is not None:
        known.end_running()


FIRST = ("roundtrip",)
LAST = ("transfer", "interface", "experiments", "docs", "explain", "reconcile", "agreement", "cli", "report")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The matrix first: what it finds out about each library, tests at the end need not find out again.

    Of those the files that take longest come first, so that no process waits for another's last file.
    """

    def place(item: pytest.Item) -> int:
        (folder,) = item.path.relative_to(Path(__file__).parent).parts[:1]
        return -1 if folder in FIRST else LAST.index(folder) + 1 if folder in LAST else 0

    items.sort(key=place)
