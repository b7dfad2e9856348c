"""Jobs and outcomes travel as JSON and come back as they were; what only says where something lies is in no key."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, replace
from types import UnionType
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from nir_interop.compare import Comparison
from nir_interop.verdict import Applied, CauseShare
from nir_interop.vocabulary import Cause, Status
from nir_interop.workers import jobs
from nir_interop.workers.jobs import (
    KINDS,
    Cell,
    Explain,
    Failure,
    Job,
    Outcome,
    from_json,
    identity,
    job_from_json,
    job_to_json,
)
from nir_interop.workers.scheduler import Future, start

SAMPLES: dict[Any, Any] = {str: "a", int: 3, float: 1e-4}

OUTCOMES: tuple[Outcome, ...] = (
    Outcome(status="timeout", limit=20.0, timing=jobs.Timing(seconds=20.0)),
    jobs.Described(idioms={"portable": "as documented"}, fixed_dt=1e-4),
    jobs.StimulusMade(dataset="digits", steps=10, batch=2, objects={jobs.STIMULUS: "s.npz"}),
    jobs.Ran(missing=("a", "b")),
    jobs.Trained(trained=True, shipped=True),
    jobs.Exported(rates={"lif1": 0.5}, spikes=7, graph=jobs.GraphFacts(digest="d", nodes=("a", "b"), order=("a",))),
    jobs.Compared(comparison=Comparison(Status.MISMATCH, mismatched=3, first_node="lif1"), missing=("a",), margin=0.1),
    jobs.InputsMade(kinds=("silent", "dense"), scale=8.0, quiet=("lif1",)),
    jobs.Judged(agreed="rounding", rounding="3 decisions", open=True),
    jobs.Labelled(labels={"portable": (("LIF",), None)}),
    jobs.Fingerprinted(imported={"rules": {"LIF": {"outputs": 3}}}, native={"value portable": {}}),
    jobs.Explained(
        blame="importer", causes=(CauseShare(Cause.DECAY, 1, ("lif1",), "another decay", 2),), suspects={"nodes": ("a",)}
    ),
    jobs.ModuleRead(step=1e-3, document={"nodes": [{"name": "lif1"}], "edges": []}),
    jobs.Rewritten(
        passes=(Applied("fold", ("a",), "r", "spikes"),), verdict=jobs.Explained(blame="none"), forbidden=("node_lost",)
    ),
)


def job_of(kind: type[Job[Any]]) -> Job[Any]:
    """A job with something in every field that has no default."""
    hints = get_type_hints(kind)
    needed = [each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING]
    given: dict[str, Any] = {}
    for name in needed:
        either = get_args(hints[name]) if isinstance(hints[name], UnionType) else (hints[name],)
        plain = next((each for each in either if each in (str, int, float)), None)
        given[name] = SAMPLES[plain] if plain is not None else () if name == "networks" else {}
    if kind is Explain:
        given["failure"] = Failure(status="crash", stage="run", error_type="", error_message="killed by signal 9")
    return kind(**given, objects="objects", folder="folder")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_job_comes_back_as_it_was_written(kind: str) -> None:
    job = job_of(KINDS[kind])
    assert job_from_json(json.loads(json.dumps(job_to_json(job)))) == job


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_every_kind_of_outcome_comes_back_as_it_was_written(outcome: Outcome) -> None:
    assert from_json(type(outcome), json.loads(json.dumps(jobs.to_json(outcome)))) == outcome


def test_all_kinds_of_outcome_are_looked_at() -> None:
    assert {kind.outcome for kind in KINDS.values()} == {type(each) for each in OUTCOMES}


def test_numbers_of_numpy_are_written_as_pythons_own() -> None:
    written = jobs.to_json(jobs.Exported(rate_min=np.float64(0.5), spikes=np.int64(3), rates={"a": np.float32(0.25)}))
    assert json.loads(json.dumps(written))["rates"] == {"a": 0.25}


def test_a_field_that_an_older_outcome_lacks_has_its_default() -> None:
    assert from_json(jobs.Trained, {"status": "ok", "trained": True}) == jobs.Trained(trained=True)


def test_where_files_lie_and_what_follows_from_them_is_in_no_key() -> None:
    job = Cell(graph="g.nir", stimulus="s.npz", dt=1e-4, readout="rate", seed=0)
    moved = replace(job, objects="/a", folder="/b", save="/c.npz", source="n.npz", nodes=("lif1",), order=("lif1",))
    assert identity(moved) == identity(job)
    assert identity(replace(job, dt=1e-3)) != identity(job)


def test_a_coroutine_goes_on_in_the_order_of_time() -> None:
    first: Future[int] = Future()
    second: Future[int] = Future()
    told: list[str] = []

    async def steps() -> int:
        told.append("begun")
        one = await first
        told.append(f"first {one}")
        return one + await second

    ending = start(steps())
    second.give(2)
    assert told == ["begun"]
    first.give(1)
    assert told == ["begun", "first 1"]
    assert ending.known == 3
