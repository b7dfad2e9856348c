"""The tables that a run leaves behind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.schema import REPORT, SOURCES, TIMINGS, write_table

if TYPE_CHECKING:
    from harness.matrix.results import Results


def write_results(found: Results, folder: Path, rows: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write report.csv, sources.csv, timings.csv and environment.json; returns their paths, the report's first."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = ((REPORT, rows), (SOURCES, found.source_rows()), (TIMINGS, found.timing_rows()))
    written = []
    for schema, table in tables:
        path = folder / schema.name
        write_table(path, [dict(row) for row in table], schema)
        written.append(path)
    path = folder / "environment.json"
    path.write_text(json.dumps(found.environment(), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return [*written, path]
