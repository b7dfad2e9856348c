"""A graph with hostile names, as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from nir_interop.graphs import write
from tests.names.hostile import hostile_graph


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    path = tmp_path / "evil.nir"
    write(path, hostile_graph())
    return path
