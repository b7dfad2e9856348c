"""The default matrix, run once for all roundtrip tests; what `make matrix` has stored is not run again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.matrix.plan import make_plan
from harness.matrix.results import Results
from harness.matrix.runner import run
from harness.matrix.store import Store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def results() -> Results:
    """Every cell of the default matrix, explained."""
    return run(make_plan(), Store(ROOT / ".nir-interop"), explain=True)


@pytest.fixture(scope="session")
def rows(results: Results) -> dict[str, Mapping[str, Any]]:
    """The rows of report.csv by cell."""
    return {row["cell_id"]: row for row in results.report_rows()}
