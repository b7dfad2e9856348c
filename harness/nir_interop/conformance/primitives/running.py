"""What each backend makes of all cases, kept in the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from multiprocessing import get_context

from nir_interop.agreement.side import RunGraph, Side
from nir_interop.backends.environments import Backend
from nir_interop.backends.environments import backend as find
from nir_interop.conformance.primitives.axes import by_axes
from nir_interop.conformance.primitives.case import SUITE, Case
from nir_interop.conformance.primitives.cases import cases
from nir_interop.conformance.primitives.exporting import Exporting, exported_rows
from nir_interop.conformance.primitives.judging import IMPORT, Judged, Row, judge, row
from nir_interop.conformance.primitives.networks import networks
from nir_interop.fingerprint import Fingerprint
from nir_interop.store.keys import primitives_key
from nir_interop.store.store import Store
from nir_interop.transfer import case as transfer
from nir_interop.transfer.fingerprints import LIMIT as PROBE_LIMIT
from nir_interop.transfer.fingerprints import import_fingerprint
from nir_interop.vocabulary import Cause, Outcome
from nir_interop.workers.confinement import die_with
from nir_interop.workers.live import LiveBackend
from nir_interop.workers.pool import SAME_SUMS

LIMIT, PATIENCE = 5.0, 2.5
"""Seconds a case may take, and one of which it is known that libraries may never come back from it."""


def measure_all(backends: Sequence[Backend], store: Store, *, jobs: int | None = None) -> list[Row]:
    """The rows of several backends, one after another; those not in the store are measured side by side.

    jobs : processes at a time; one a core by default
    """
    pending = [each for each in backends if store.get("primitives", _key(each, LIMIT)) is None]
    # Our own takes least time: at the end it keeps no other waiting.
    pending.sort(key=lambda each: each.name == "reference")
    if pending:
        # Fresh processes: a copy of this one could hold locks of its libraries, and the reference is to add up as workers do.
        some = min(len(pending), jobs or os.cpu_count() or 1)
        with _environment(SAME_SUMS), ProcessPoolExecutor(some, get_context("spawn"), _one_thread, (os.getpid(),)) as pool:
            list(pool.map(measure, pending, [store] * len(pending)))
    return [row for each in backends for row in measure(each, store)]


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Variables for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _one_thread(parent: int) -> None:
    """Keep the reference to one core: what it runs here is small, and threads of two processes would wait for each other.

    parent : whose end is the end of this process
    """
    import torch

    die_with(parent)
    torch.set_num_threads(1)


def _key(backend: Backend, limit: float) -> str:
    return primitives_key(find("reference"), backend, what="primitives", suite=SUITE, limit=limit)


def measure(backend: Backend, store: Store, *, limit: float = LIMIT) -> list[Row]:
    """The rows of one backend, with the columns of primitives.csv, from the store or by running all cases now."""
    key = _key(backend, limit)
    known = store.get("primitives", key)
    if known is not None:
        return list(known["rows"])
    with (live := Exporting(backend, limit=limit)):
        fingerprint = cache(partial(_fingerprint, backend, store, live))
        rows = rows_of(live, [case for case in cases() if not case.late], fingerprint)
        rows += exported_rows(live.export, networks())
        live.limit = min(limit, PATIENCE)
        rows += rows_of(live, [case for case in cases() if case.late], fingerprint)
    named = {"backend": backend.name, "version": backend.version or None}
    rows = [{**row, **named} for row in rows]
    store.put("primitives", key, {"rows": rows})
    return rows


def _fingerprint(backend: Backend, store: Store, live: LiveBackend) -> Fingerprint:
    """What the importer makes of neurons, by the process that is running, under the time limit that probes have."""
    before, live.limit = live.limit, PROBE_LIMIT
    try:
        return import_fingerprint(backend, store, live=live)
    finally:
        live.limit = before


def rows_of(run: RunGraph, some: Iterable[Case], fingerprint: Callable[[], Fingerprint]) -> list[Row]:
    """One row a case, in order, without the backend's columns.

    fingerprint : asked for where outputs differ, to name the causes
    """
    return [_row(case, judge(run, case), fingerprint) for case in some]


def _row(case: Case, judged: Judged, fingerprint: Callable[[], Fingerprint]) -> Row:
    causes: Sequence[str] = ()
    if judged.outcome in (Outcome.WRONG, Outcome.DROPPED) and judged.recording is not None:
        causes = by_axes(case, judged.recording)
    if judged.outcome is Outcome.WRONG and not causes:
        causes = _causes(case, judged, fingerprint()) or (str(Cause.UNEXPLAINED),)
    if judged.outcome is Outcome.UNREADABLE:
        causes = (str(Cause.UNREADABLE),)
    if judged.outcome is Outcome.DROPPED and not causes:
        causes = (str(Cause.NODE_DROPPED),)
    return row(case, IMPORT, judged, causes)


def _causes(case: Case, judged: Judged, fingerprint: Fingerprint) -> Sequence[str]:
    """Why outputs differ, most outputs first."""
    known = Side.of(fingerprint, case.dt)
    meant = transfer.Case(case.graph, case.stimulus, Side("NIR", case.dt), known, recorded=case.meant)
    return () if judged.recording is None else transfer.explain(meant, judged.recording).codes
