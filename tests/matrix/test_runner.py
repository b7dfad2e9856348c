"""What is run, what is not run again, and what becomes rows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nir_interop.backends.environments import Backend
from nir_interop.errors import BadData, InvalidGraph, OwnFailure, TooSlow
from nir_interop.matrix.campaign import Event
from nir_interop.matrix.plan import SourceJob
from nir_interop.matrix.results import Results, SourceResult, repeated
from nir_interop.networks import catalogue
from nir_interop.recording import Recording
from nir_interop.schema import REPORT, SOURCES, TIMINGS, write_table
from nir_interop.store import keys
from nir_interop.store.store import Store
from nir_interop.transfer.check import run_graph
from nir_interop.workers.jobs import Exported, StimulusMade
from nir_interop.workers.scheduler import Scheduler, Worker
from tests.matrix import fakes
from tests.matrix.fakes import ROOT
from tests.matrix.matrix_runs import plan_of, run_in, tables, workers_of

KINDS = (fakes.Honest, fakes.Wrong)
REFERENCE = fakes.backend(fakes.Honest, "reference")


def run_counting(store: Path, *kinds: Any, **options: Any) -> tuple[Results, list[Event]]:
    events: list[Event] = []
    results = run_in(store, plan_of(*kinds, networks=("mlp_if", "mlp_lif")), on_event=events.append, **options)
    return results, events


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Results, list[Event]]]:
    store = tmp_path_factory.mktemp("store")
    results, events = run_counting(store, *KINDS)
    yield store, results, events


def test_events_count_up_to_all_sources_and_cells(first: tuple[Path, Results, list[Event]]) -> None:
    _, results, events = first
    assert [event.done for event in events] == list(range(1, len(events) + 1))
    assert events[-1].total == events[-1].done == len(results.sources) + len(results.cells) == 4 + 4
    assert events[-1].counts == {"exact": 2, "mismatch": 2}


def test_equal_graphs_are_run_once(tmp_path: Path) -> None:
    """Two exporters of one graph, read by three."""
    events: list[Event] = []
    run_in(tmp_path, plan_of(fakes.Honest, fakes.Choosy, fakes.Wrong, networks=("mlp_lif_mixed",)), on_event=events.append)
    cells = [event for event in events if event.kind == "cell"]
    assert (len(cells), sum(event.cached for event in cells)) == (6, 3)
    assert len(list((tmp_path / "cells").glob("*.json"))) == 3


def test_fewer_workers_at_hand_change_no_result_and_are_not_started_for_every_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four libraries with room for two of them; each library's cells are run one after the other."""
    held: list[tuple[str, int]] = []
    started = Scheduler._started

    def counted(self: Scheduler, crew: Any, name: str, scratch: Path) -> Worker:
        worker = started(self, crew, name, scratch)
        held.append((name, len(crew.workers)))
        return worker

    monkeypatch.setattr(Scheduler, "_started", counted)
    kinds = (fakes.Honest, fakes.Choosy, fakes.Wrong, fakes.Loud)
    plan = plan_of(*kinds, networks=("mlp_if", "mlp_lif", "mlp_leak"))
    found = {}
    for warm in (16, 2):
        held.clear()
        monkeypatch.setattr("nir_interop.workers.scheduler.warm_for", lambda jobs, warm=warm: warm)
        found[warm] = tables(run_in(tmp_path / str(warm), plan), tmp_path)
        assert max(count for _, count in held) == min(warm, len(kinds))
    assert found[2] == found[16]
    assert len(held) <= 3 * len(kinds)  # to describe, to export, to import; there are two dozen cells


def test_an_idiom_that_comes_to_the_same_has_no_cells_of_its_own(tmp_path: Path) -> None:
    results = run_in(tmp_path, plan_of(fakes.Unlike, fakes.Wrong))
    told = {row["idiom"]: (row["repeats"], row["how"]) for row in results.source_rows()}
    assert told == {
        "tutorial": (None, "a tutorial way"),
        "portable": (None, "a portable way"),
        "worked_around": ("mlp_if.portable.unlike@0.0001", "a worked_around way"),
    }
    cells = [(row["idiom"], row["importer"]) for row in results.report_rows()]
    assert sorted(cells) == [(idiom, name) for idiom in ("portable", "tutorial") for name in ("unlike", "wrong")]


def test_two_failures_are_the_same_only_in_the_same_words() -> None:
    def failed(idiom: str, message: str) -> SourceResult:
        outcome = Exported(status="write_error", error_message=message, recording_digest="r")
        return SourceResult(SourceJob("n", idiom, "e", 1e-4), outcome, StimulusMade())

    one, other, third = failed("worked_around", "a"), failed("portable", "a"), failed("tutorial", "b")
    assert repeated([one, third, other]) == {one.job: "n.portable.e@0.0001"}


def test_a_network_is_trained_once_and_all_idioms_share_what_it_learned(first: tuple[Path, Results, list[Event]]) -> None:
    store, results, _ = first
    trained = {row["source_id"]: row for row in results.source_rows() if row["trained"]}
    assert set(trained) == {"mlp_lif.portable.honest@0.0001", "mlp_lif.tutorial.honest@0.0001"}
    assert len({row["graph_sha"] for row in trained.values()}) == 1
    assert {row["epochs"] for row in trained.values()} == {catalogue("mlp_lif").epochs}
    assert len(list((store / "trainings").glob("*.json"))) == 1


def test_nothing_is_run_again_where_nothing_changed(first: tuple[Path, Results, list[Event]], tmp_path: Path) -> None:
    store, results, _ = first
    again, events = run_counting(store, *KINDS)
    assert all(event.cached for event in events)
    assert tables(again, tmp_path / "again") == tables(results, tmp_path / "first")


def test_a_run_that_knows_everything_imports_no_library_and_starts_no_process(first: tuple[Path, Results, list[Event]]) -> None:
    store, _, _ = first
    text = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]\n"
        "from pathlib import Path\n"
        "from nir_interop.backends.environments import Backend\n"
        "from nir_interop.matrix.plan import make_plan\n"
        "from nir_interop.matrix.campaign import run\n"
        "from nir_interop.store.store import Store\n"
        f"options = dict(versions={{'fake': '1'}}, search=(Path({str(ROOT)!r}),))\n"
        "known = [Backend(name, 'tests.matrix.fakes:' + name.title(), **options) for name in ('honest', 'wrong')]\n"
        "plan = make_plan(networks=['mlp_if', 'mlp_lif'], dts=(1e-4,), known=known)\n"
        "events = []\n"
        f"results = run(plan, Store(Path({str(store)!r})), jobs=2, on_event=events.append)\n"
        "rows = results.report_rows(), results.source_rows()\n"
        "import json; print(json.dumps([len(events), all(event.cached for event in events), sorted(sys.modules)]))\n"
    )
    said = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout
    count, cached, loaded = json.loads(said)
    assert (count, cached) == (8, True)
    assert not {"torch", "nir", "h5py", "sklearn", "tonic", "tests.matrix.fakes"} & set(loaded)


def test_another_version_of_a_library_is_run_again(first: tuple[Path, Results, list[Event]], tmp_path: Path) -> None:
    older = fakes.backend(fakes.Wrong)
    newer = Backend(older.name, older.module, versions={"fake": "2"}, search=older.search)
    assert keys.backend_key(older) != keys.backend_key(newer)


def test_an_adapters_source_is_part_of_the_key(tmp_path: Path) -> None:
    module = tmp_path / "own_adapter.py"
    found = []
    for text in ("a = 1\n", "a = 2\n"):
        module.write_text(text)
        keys.forget()
        found.append(keys.backend_key(Backend("own", "own_adapter:Own", search=(tmp_path,))))
    assert found[0] != found[1]


def test_rows_fit_their_tables(first: tuple[Path, Results, list[Event]], tmp_path: Path) -> None:
    _, results, _ = first
    for rows, schema in ((results.report_rows(), REPORT), (results.source_rows(), SOURCES), (results.timing_rows(), TIMINGS)):
        assert rows
        write_table(tmp_path / schema.name, rows, schema)
    environment = results.environment()
    assert environment["backends"]["honest"] == {"fake": "1"}
    assert environment["cpus"] >= 1


def test_the_reference_is_run_on_the_intended_graph_and_its_margin_kept(tmp_path: Path) -> None:
    from nir_interop.matrix.plan import make_plan

    known = [fakes.backend(fakes.Honest), REFERENCE]
    results = run_in(tmp_path, make_plan(networks=["mlp_if", "csnn_maxpool"], exporters=["honest"], dts=(1e-4,), known=known))
    sources = {row["network"]: row for row in results.source_rows() if row["idiom"] == "portable"}
    assert (sources["mlp_if"]["status"], sources["mlp_if"]["graph_status"]) == ("exact", "exact")
    assert sources["mlp_if"]["spikes_reference"] == sources["mlp_if"]["spikes_source"]
    assert sources["csnn_maxpool"]["status"] == "refused"


def test_a_backend_that_is_not_installed_or_does_not_start_says_so(tmp_path: Path) -> None:
    from nir_interop.matrix.plan import make_plan

    missing = Backend("missing", "tests.matrix.fakes:Wrong", distributions=("nowhere",), installed=False)
    broken = Backend("broken", "tests.matrix.fakes:NoSuchClass", search=(ROOT,))
    nowhere = Backend("nowhere", "tests.matrix.fakes:Wrong", python=Path("/nonexistent/python"), search=(ROOT,))
    known = [broken, fakes.backend(fakes.Honest), missing, nowhere]
    results = run_in(tmp_path, make_plan(networks=["mlp_if"], exporters=["honest"], dts=(1e-4,), known=known))
    told = {row["importer"]: (row["status"], row["error_message"]) for row in results.report_rows()}
    assert told["honest"][0] == "exact"
    assert told["missing"] == ("env_missing", "missing: nowhere not installed; run pip install 'nir-interop[missing]'")
    assert told["broken"][0] == "env_missing"
    assert "NoSuchClass" in told["broken"][1]
    assert told["nowhere"][0] == "env_missing"


@pytest.mark.slow
def test_what_does_not_start_is_no_cell_that_is_not_explained(tmp_path: Path) -> None:
    from nir_interop.matrix.plan import make_plan

    broken = Backend("broken", "tests.matrix.fakes:NoSuchClass", search=(ROOT,))
    known = [broken, fakes.backend(fakes.Honest), REFERENCE]
    plan = make_plan(networks=["mlp_if"], exporters=["honest"], importers=["broken"], dts=(1e-4,), known=known)
    rows = run_in(tmp_path, plan, explain=True).report_rows()
    told = {(row["status"], row["blame"], row["causes"]) for row in rows if row["importer"] == "broken"}
    assert told == {("env_missing", "setting", None)}


def test_a_users_graph_is_run_in_every_backend_against_the_reference(tmp_path: Path) -> None:
    import nir

    network = catalogue("mlp_if").build(0)
    graph = tmp_path / "mine.nir"
    nir.write(graph, network.to_nir())
    stimulus = np.random.default_rng(0).integers(0, 2, (20, 3, 20)).astype(np.float32)
    backends = [REFERENCE, *(fakes.backend(kind) for kind in (fakes.Wrong, fakes.Looping, fakes.Loud))]
    found = run_graph(graph, stimulus, 1e-4, backends, REFERENCE, jobs=2, time_limit=2, save=tmp_path / "saved")
    told = {one.importer: one.as_dict() for one in found}
    assert list(told) == ["reference", "wrong", "looping", "loud"]
    assert (told["reference"]["status"], told["reference"]["mismatched"]) == ("exact", 0)
    assert (told["wrong"]["status"], told["wrong"]["mismatch_rate"], told["wrong"]["first_step"]) == ("mismatch", 1.0, 0)
    assert told["looping"]["status"] == "timeout"
    assert told["loud"]["warned"]
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["loud.npz", "reference.npz", "wrong.npz"]
    assert Recording.load(tmp_path / "saved" / "wrong.npz").output.shape == (20, 3, 10)


@pytest.mark.parametrize(
    ("fake", "expected", "says"),
    [
        (fakes.Failing, OwnFailure, "mine.nir: nir-interop itself failed, not your graph: TypeError: <object object at 0x> of"),
        (fakes.Killed, OwnFailure, "mine.nir: the reference's process died: killed by signal 9; install nir-interop again"),
        (
            fakes.Looping,
            TooSlow,
            "mine.nir: too slow for the reference: no answer within 1 s in import; --time-limit raises it",
        ),
        (fakes.Meaningless, InvalidGraph, "mine.nir: LIF 'lif1': tau is negative"),
    ],
)
def test_whose_fault_it_is_that_the_reference_gives_nothing(
    tmp_path: Path, fake: type[fakes.Honest], expected: type[Exception], says: str
) -> None:
    import nir

    graph = tmp_path / "mine.nir"
    nir.write(graph, catalogue("mlp_if").build(0).to_nir())
    failing = fakes.backend(fake, "reference")
    with pytest.raises(expected, match=re.escape(says)):
        run_graph(graph, np.zeros((2, 1, 20), np.float32), 1e-4, [fakes.backend(fakes.Honest)], failing, time_limit=1)


def test_an_error_in_making_a_stimulus_ends_the_run_at_once_and_is_told(tmp_path: Path) -> None:
    class Broken:
        def stimulus_for(self, entry: Any, network: Any, seed: int) -> Any:
            raise BadData("half of the file is missing")

        def training_samples(self, entry: Any, network: Any, seed: int) -> Any:
            raise BadData("half of the file is missing")

    with pytest.raises(BadData, match="half of the file"):
        run_in(tmp_path, plan_of(*KINDS), stimuli=Broken())
    assert not workers_of(tmp_path)


def test_a_stored_timeout_holds_for_its_own_limit_only(tmp_path: Path) -> None:
    plan = plan_of(fakes.Honest, fakes.Looping)
    looped: list[list[bool]] = []
    for limit in (0.5, 0.5, 0.6):
        found: list[Event] = []
        run_in(tmp_path, plan, time_limit=limit, on_event=found.append)
        looped.append([event.cached for event in found if ">looping@" in event.name])
    assert looped == [[False], [True], [False]]


def test_an_object_is_known_by_its_content(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    path = tmp_path / "a.npz"
    path.write_bytes(b"content")
    name = store.adopt(path)
    store.put("sources", "k", {"status": "ok", "objects": {"a": name}})
    assert Store(store.path).get("sources", "k") == {"status": "ok", "objects": {"a": name}}
    store.object(name).write_bytes(b"c0ntent")
    assert Store(store.path).get("sources", "k") is None
    assert store.adopt(path) == name
