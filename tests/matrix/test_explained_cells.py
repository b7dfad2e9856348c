"""From cells to verdicts: when each is asked for, and what becomes of it in the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nir_interop.backends.adapter import load_adapter
from nir_interop.backends.environments import backends
from nir_interop.matrix.campaign import Campaign, Event, Limits, run
from nir_interop.matrix.plan import make_plan
from nir_interop.matrix.results import Results
from nir_interop.store.store import Store
from nir_interop.transfer.fingerprints import identify_backend
from nir_interop.transfer.stimuli import CatalogueStimuli
from nir_interop.workers.jobs import (
    GRAPH,
    RECORDING,
    STIMULUS,
    Compared,
    Describe,
    Described,
    Exported,
    Fingerprinted,
    GraphFacts,
    Identify,
    Job,
    Outcome,
    StimulusMade,
)
from nir_interop.workers.progress import JobProgress
from nir_interop.workers.scheduler import Future
from tests.matrix.matrix_runs import tables

OWN = [backend for backend in backends() if backend.name in ("reference", "exact")]


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, list[Event]]:
    events: list[Event] = []
    plan = make_plan(networks=["mlp_if"], dts=(1e-4, 1e-3), known=OWN)
    store = Store(tmp_path_factory.mktemp("store"))
    return run(plan, store, jobs=1, explain=True, on_event=events.append), events


def row(results: Results, importer: str, dt: float) -> Mapping[str, Any]:
    of = {"importer": importer, "dt_import": dt, "mode": "native"}
    rows = [each for each in results.report_rows() if all(each[name] == value for name, value in of.items())]
    assert len(rows) == 1
    return rows[0]


def test_an_exact_cell_has_nobody_to_blame(explained: tuple[Results, list[Event]]) -> None:
    found = row(explained[0], "reference", 1e-4)
    assert (found["status"], found["blame"], found["causes"]) == ("exact", "none", None)


def test_another_step_on_import_is_the_caller_s_setting(explained: tuple[Results, list[Event]]) -> None:
    found = row(explained[0], "reference", 1e-3)
    assert (found["status"], found["blame"], found["causes"]) == ("mismatch", "setting", "dt_requested")
    assert found["explained"] == 1.0


def test_continuous_time_differs_by_the_steps_of_the_source(explained: tuple[Results, list[Event]]) -> None:
    found = row(explained[0], "exact", 1e-4)
    assert (found["blame"], found["causes"], found["explained"]) == ("format", "discretisation", 1.0)


def test_each_cell_that_differs_tells_twice_and_is_counted_once(explained: tuple[Results, list[Event]]) -> None:
    results, events = explained
    native = [cell for cell in results.cells if cell.job.mode == "native"]
    differing = [cell for cell in native if cell.status != "exact"]
    assert len([event for event in events if event.kind == "verdict"]) == len(differing) > 0
    assert sum(events[-1].counts.values()) == len(native)
    assert events[-1].done == events[-1].total == len(events)


def test_verdicts_are_kept_and_not_made_again(tmp_path: Path) -> None:
    plan = make_plan(networks=["mlp_if"], dts=(1e-3,), known=OWN)
    first = run(plan, Store(tmp_path), jobs=1, explain=True)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "verdicts").iterdir()}
    again = run(plan, Store(tmp_path), jobs=1, explain=True)
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "verdicts").iterdir()}
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    assert tables(first, tmp_path / "a") == tables(again, tmp_path / "b")
    assert all(cell.cached for cell in again.cells)


class Desk:
    """Stands for what is known of jobs: notes what is asked for, and answers when told to."""

    def __init__(self) -> None:
        self.asked: dict[str, Future[Any]] = {}

    def ask(self, job: Job[Any], key: str, *, order: tuple[Any, ...], **how: Any) -> Future[Any]:
        name = f"{job.kind} {order[0]}" if isinstance(job, (Identify, Describe)) else job.kind
        return self.asked.setdefault(name, Future())

    def answer(self, name: str, outcome: Outcome) -> None:
        self.asked.pop(name).give((outcome, False))


def one_cell(tmp_path: Path, exporter: str, importer: str) -> tuple[Desk, Campaign]:
    """A run that has come as far as one cell, which differs."""
    plan = make_plan(networks=["mlp_if"], exporters=[exporter], importers=[importer], dts=(1e-4,))
    desk = Desk()
    campaign = Campaign(plan, Store(tmp_path), desk, Limits(), CatalogueStimuli(), explain=True)  # type: ignore[arg-type]
    campaign.begin()
    desk.answer("stimulus", StimulusMade(objects={STIMULUS: "stimulus.npz"}))
    for name in plan.backends:
        desk.answer(f"description {name}", Described(idioms={"portable": "as it is documented"}))
    objects = {GRAPH: "graph.nir", RECORDING: "native.npz"}
    desk.answer("source", Exported(objects=objects, readout="rate", graph=GraphFacts(digest="g")))
    desk.answer("cell", Compared(status="mismatch", objects={RECORDING: "target.npz"}))
    return desk, campaign


def test_a_cell_waits_for_the_rules_of_both_its_sides(tmp_path: Path) -> None:
    desk, _ = one_cell(tmp_path, "norse", "snntorch")
    identified = Fingerprinted(imported={"rules": {}})
    assert "explain" not in desk.asked
    desk.answer("identify norse", identified)
    assert "explain" not in desk.asked
    desk.answer("identify snntorch", identified)
    assert "explain" in desk.asked


def test_where_the_probes_fail_the_cell_says_so(tmp_path: Path) -> None:
    desk, campaign = one_cell(tmp_path, "reference", "norse")
    desk.answer("identify norse", Fingerprinted(status="timeout", error_message="no answer within 600 s"))
    (told,) = campaign.cells.values()
    assert told.verdict is not None
    assert told.verdict.blame == "unexplained"
    assert "norse: its rules could not be identified: no answer within 600 s" in told.verdict.causes[0].text
    assert "rewrite" not in desk.asked


def test_what_a_library_that_does_not_start_does_is_not_known(tmp_path: Path) -> None:
    gone = replace(next(each for each in backends() if each.name == "norse"), module="nir_interop_adapters.norse:Gone")
    job = Identify(backend=gone.as_dict(), store=str(tmp_path))
    outcome = identify_backend(load_adapter("reference"), job, JobProgress())
    assert outcome.status == "env_missing"
    assert "Gone" in outcome.error_message
    assert not list(tmp_path.rglob("*.json"))
