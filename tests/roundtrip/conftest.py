"""The default matrix, run once for all roundtrip tests; what `make matrix` has stored is not run again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nir_interop.matrix.campaign import run
from nir_interop.matrix.plan import make_plan
from nir_interop.matrix.results import Results
from nir_interop.store.store import Store
from tests.known import STORE


@pytest.fixture(scope="session")
def results(request: pytest.FixtureRequest) -> Results:
    """Every cell of the default matrix, explained; of some networks alone, where only tests of theirs are run."""
    asking = [item for item in request.session.items if item.path.parent == Path(__file__).parent]
    triples = [item.callspec.params["triple"] if hasattr(item, "callspec") else None for item in asking]
    networks = None if None in triples else sorted({network for network, _, _ in triples})
    return run(make_plan(networks=networks), Store(STORE), explain=True)


@pytest.fixture(scope="session")
def rows(results: Results) -> dict[str, Mapping[str, Any]]:
    """The rows of report.csv by cell."""
    return {row["cell_id"]: row for row in results.report_rows()}
