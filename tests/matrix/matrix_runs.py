"""Runs of the matrix for tests: small, with fakes, in this process or in one that can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nir_interop.backends.adapter import Adapter
from nir_interop.backends.environments import Backend
from nir_interop.matrix.campaign import run
from nir_interop.matrix.plan import Plan, make_plan
from nir_interop.matrix.results import Results
from nir_interop.schema import REPORT, SOURCES, write_table
from nir_interop.store.store import Store
from tests.matrix import fakes
from tests.matrix.fakes import ROOT

NETWORK = "mlp_if"
SOON = 10.0
"""Seconds that a busy machine may take to end a process: far less than a library is waited for."""


def plan_of(*kinds: type[Adapter], networks: Sequence[str] = (NETWORK,), dts: Sequence[float] = (1e-4,)) -> Plan:
    """A plan of fakes alone; every one of them exports that can."""
    known = [fakes.backend(kind) for kind in kinds]
    return make_plan(networks=networks, dts=dts, known=sorted(known, key=lambda backend: backend.name))


def run_in(store: Path, plan: Plan, **options: Any) -> Results:
    """Run in this process, with one worker at a time unless said otherwise."""
    return run(plan, Store(store), **{"jobs": 1, **options})


def tables(results: Results, folder: Path) -> dict[str, bytes]:
    """The bytes of report.csv and sources.csv."""
    write_table(folder / "report.csv", results.report_rows(), REPORT)
    write_table(folder / "sources.csv", results.source_rows(), SOURCES)
    return {name: (folder / name).read_bytes() for name in ("report.csv", "sources.csv")}


def by_importer(results: Results, importer: str, dt: float = 1e-4) -> dict[str, Any]:
    """The one row of an importer at a step, of the portable idiom."""
    (row,) = [
        row
        for row in results.report_rows()
        if row["importer"] == importer and row["dt_import"] == dt and row["idiom"] == "portable" and row["exporter"] == "honest"
    ]
    return row


def workers_of(store: Path) -> list[int]:
    """Processes that work for a store: their temporary folder lies in it."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                environment = (process / "environ").read_bytes()
                state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                continue
            if f"TMPDIR={store.resolve()}/".encode() in environment and state != "Z":
                found.append(int(process.name))
    return sorted(found)


DRIVER = """
import sys
sys.path[:0] = [{root!r}]
from pathlib import Path
from tests.matrix import fakes
from tests.matrix.matrix_runs import plan_of, run_in
kinds = [getattr(fakes, name) for name in {kinds!r}]
plan = plan_of(*kinds, networks={networks!r})
run_in(Path({store!r}), plan, jobs={jobs}, on_event=lambda event: print(event.done, event.name, flush=True))
print("complete", flush=True)
"""


def start_driver(
    store: Path, kinds: Sequence[type[Adapter]], networks: Sequence[str] = (NETWORK,), jobs: int = 2
) -> subprocess.Popen[str]:
    """A run in a process of its own, which prints a line for each result."""
    names = [kind.__name__ for kind in kinds]
    text = DRIVER.format(root=str(ROOT), kinds=names, networks=list(networks), store=str(store), jobs=jobs)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, env=environment)


COMMAND = """
import sys
sys.path[:0] = [{root!r}]
from nir_interop.matrix import plan
from tests.matrix import fakes
from tests.matrix.matrix_runs import plan_of
kinds = [getattr(fakes, name) for name in {kinds!r}]
plan.make_plan = lambda **_: plan_of(*kinds, networks={networks!r})
from nir_interop.cli import main
main()
"""


def command(kinds: Sequence[type[Adapter]], networks: Sequence[str] = (NETWORK,), jobs: int = 2) -> list[str]:
    """``nir-interop matrix`` with fakes, without explaining, in the working directory; options may follow."""
    names = [kind.__name__ for kind in kinds]
    text = COMMAND.format(root=str(ROOT), kinds=names, networks=list(networks))
    return [sys.executable, "-c", text, "matrix", "--no-explain", "--store=.nir-interop", f"--jobs={jobs}"]


def wait_until(condition: Any, seconds: float) -> bool:
    """Whether a condition comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


__all__ = ["Backend", "by_importer", "plan_of", "run_in", "start_driver", "tables", "wait_until", "workers_of"]
