"""What each backend makes of all cases, kept in the store."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from harness.environments import Backend
from harness.environments import backend as find
from harness.explain.misruns import misruns
from harness.explain.verdict import explain_cell
from harness.fingerprint import Fingerprint
from harness.matrix.fingerprints import import_fingerprint
from harness.matrix.keys import explanation_key
from harness.matrix.live import LiveBackend
from harness.matrix.messages import one_line
from harness.matrix.primitives.case import SUITE, Case
from harness.matrix.primitives.cases import cases
from harness.matrix.primitives.judging import Judged, Outcome, Run, judge
from harness.matrix.store import Store
from harness.schema import SEPARATOR
from harness.vocabulary import Cause

Row = dict[str, Any]

LIMIT = 5.0
"""Seconds a case may take."""

IMPORT = "import"


def measure_all(backends: Sequence[Backend], store: Store, *, jobs: int | None = None) -> list[Row]:
    """The rows of several backends, one after another; those not in the store are measured side by side.

    jobs : processes at a time; one a core by default
    """
    pending = [each for each in backends if store.get("primitives", _key(each, LIMIT)) is None]
    if len(pending) > 1:
        # Fresh processes: a copy of this one could hold locks of its libraries.
        with ProcessPoolExecutor(min(len(pending), jobs or os.cpu_count() or 1), get_context("spawn")) as pool:
            list(pool.map(measure, pending, [store] * len(pending)))
    return [row for each in backends for row in measure(each, store)]


def _key(backend: Backend, limit: float) -> str:
    parts = {"what": "primitives", "suite": SUITE, "cases": _sources(), "limit": limit}
    return explanation_key(find("reference"), backend, **parts)


def measure(backend: Backend, store: Store, *, limit: float = LIMIT) -> list[Row]:
    """The rows of one backend, with the columns of primitives.csv, from the store or by running all cases now."""
    key = _key(backend, limit)
    known = store.get("primitives", key)
    if known is not None:
        return list(known["rows"])
    with LiveBackend(backend, limit=limit) as live:
        fingerprints: list[Fingerprint] = []

        def fingerprint() -> Fingerprint:
            if not fingerprints:
                fingerprints.append(import_fingerprint(backend, store))
            return fingerprints[0]

        named = {"backend": backend.name, "version": backend.version or None}
        rows = [{**row, **named} for row in rows_of(live, cases(), fingerprint)]
    store.put("primitives", key, {"rows": rows})
    return rows


def rows_of(run: Run, some: Iterable[Case], fingerprint: Callable[[], Fingerprint]) -> list[Row]:
    """One row a case, in order, without the backend's columns.

    fingerprint : asked for where outputs differ, to name the causes
    """
    return [_row(case, judge(run, case), fingerprint) for case in some]


def _row(case: Case, judged: Judged, fingerprint: Callable[[], Fingerprint]) -> Row:
    causes: Sequence[str] = ()
    if judged.outcome is Outcome.WRONG:
        causes = _causes(case, judged, fingerprint())
    if judged.outcome is Outcome.DROPPED:
        causes = (str(Cause.NODE_DROPPED),)
    return {
        "suite": SUITE,
        "primitive": case.primitive,
        "aspect": case.aspect,
        "direction": IMPORT,
        "dt": case.dt,
        "status": str(judged.outcome),
        "outputs": judged.outputs,
        "mismatched": judged.mismatched,
        "causes": SEPARATOR.join(causes) or None,
        "message": one_line(judged.message) or None,
    }


def _causes(case: Case, judged: Judged, fingerprint: Fingerprint) -> Sequence[str]:
    """Why outputs differ, most outputs first."""
    verdict = explain_cell(
        intended=None,
        exported=case.graph,
        source_rule={},
        target_rule=fingerprint.by_primitive(),
        native=case.meant,
        target=judged.recording,
        stimulus=case.stimulus,
        dt_export=case.dt,
        dt_import=case.dt,
        names=("NIR", fingerprint.backend),
        likely=misruns(fingerprint.rules),
    )
    return verdict.codes


def _sources() -> str:
    """Of the cases and of how they are judged."""
    folder = Path(__file__).resolve().parent
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(folder.glob("*.py")))).hexdigest()
