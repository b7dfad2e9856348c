"""A study that is run from end to end takes its half minute: such tests are slow."""

from __future__ import annotations

import pytest

WHOLE_RUNS = frozenset({"quick", "own", "twice"})
"""Fixtures that run a study."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if WHOLE_RUNS & set(getattr(item, "fixturenames", ())) and "experiments" in item.path.parts:
            item.add_marker(pytest.mark.slow)
