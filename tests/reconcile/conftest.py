"""The three libraries, live."""

from __future__ import annotations

import pytest

from nir_interop.workers.live import LiveBackend
from tests.known import CORE, running


@pytest.fixture(scope="module", params=CORE)
def library(request: pytest.FixtureRequest) -> LiveBackend:
    """Each of them in turn; one that is not installed is skipped."""
    return running(request.param)
