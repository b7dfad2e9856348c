"""Libraries in environments of their own: from where NIR_INTEROP_ENVIRONMENTS says, else from ``.backends``, which
``make test-backends`` fills.

A test of one that is not installed is skipped, with how to install it; it fails where NIR_INTEROP_REQUIRE_BACKENDS names the
library, or ``all``.  Fixtures of a session see no environments; those of a module do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from nir_interop.backends.environments import PLACE, Backend
from nir_interop.workers.live import LiveBackend
from tests.backends_apart.environments import ENVIRONMENTS, apart


@pytest.fixture(scope="module", autouse=True)
def environments() -> Iterator[None]:
    """The folder of environments, for these tests alone and what they start."""
    before = os.environ.get(PLACE)
    os.environ[PLACE] = str(ENVIRONMENTS)
    yield
    if before is None:
        del os.environ[PLACE]
    else:
        os.environ[PLACE] = before


@pytest.fixture(scope="module", name="apart")
def apart_(environments: None) -> Callable[[str], Backend]:
    """Name → the installed backend; the test is skipped, or fails, where it is not installed."""
    return apart


@pytest.fixture(scope="module")
def running(environments: None) -> Iterator[Callable[[str], LiveBackend]]:
    """Name → the backend live, one process for all tests of a module."""
    started: dict[str, LiveBackend] = {}

    def run(name: str) -> LiveBackend:
        if name not in started:
            started[name] = LiveBackend(apart(name), limit=120)
        return started[name]

    yield run
    for live in started.values():
        live.close()
