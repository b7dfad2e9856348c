"""The three libraries, live."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nir_interop.workers.live import LiveBackend
from tests.known import CORE, installed


@pytest.fixture(scope="module", params=CORE)
def library(request: pytest.FixtureRequest) -> Iterator[LiveBackend]:
    """Each of them in turn; one that is not installed is skipped."""
    with LiveBackend(installed(request.param)) as live:
        yield live
