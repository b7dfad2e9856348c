"""A small run of our own two backends with its tables, and the same with hostile words in it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nir_interop.backends.environments import backends
from nir_interop.matrix.campaign import run
from nir_interop.matrix.plan import make_plan
from nir_interop.matrix.results import Results
from nir_interop.report.page import Details, keep
from nir_interop.report.results_folder import write_results
from nir_interop.schema import DT_SWEEP, PRIMITIVES, REPORT, RULES, write_table
from nir_interop.store.store import Store

HOSTILE = "<img src=x onerror=alert(1)>"
SCRIPT = "</script><script>alert(2)</script>"


@dataclass(frozen=True)
class Ran:
    """A run, its store, and the folder with its tables."""

    found: Results
    store: Store
    folder: Path
    details: Details


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    own = [backend for backend in backends() if backend.name in ("reference", "exact")]
    plan = make_plan(networks=["lif_single", "mlp_if", "csnn_maxpool"], known=own)
    store, folder = Store(tmp_path_factory.mktemp("store")), tmp_path_factory.mktemp("results")
    found = run(plan, store, jobs=1, explain=True)
    write_results(found, folder, found.report_rows())
    for table in (RULES, PRIMITIVES, DT_SWEEP):
        shutil.copy(Path(__file__).parents[2] / "results" / table.name, folder)
    return Ran(found, store, folder, keep(found, store, folder))


@pytest.fixture(scope="session")
def hostile(ran: Ran, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Details]:
    """The folder and the details with markup for a node's name, an error's message and a study's text."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copytree(ran.folder, folder, dirs_exist_ok=True)
    rows: list[dict[str, Any]] = ran.found.report_rows()
    for row in rows:
        row["first_node"] = HOSTILE if row["first_node"] else None
        row["error_message"] = f"{HOSTILE} {SCRIPT}" if not row["importer"] or row["first_node"] else None
    write_table(folder / REPORT.name, rows, REPORT)
    study = folder / "a_study"
    study.mkdir()
    study.joinpath("README.md").write_text(
        f"# A study\n\n{HOSTILE}\n\n{SCRIPT}\n\n[press](javascript:alert(3))\n", encoding="utf-8"
    )
    quoted = json.dumps(HOSTILE)[1:-1]
    return folder, json.loads(json.dumps(dict(ran.details)).replace("lif1", quoted))
