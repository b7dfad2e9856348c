"""A worker has no more rights than it needs, and what a library takes or leaves in spite of it costs its own cell alone."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import execnet
import pytest

from nir_interop import memory as limits
from nir_interop.errors import BadInput
from nir_interop.matrix.results import Results
from nir_interop.workers import confinement as rights
from nir_interop.workers.confinement import memory_for, working_in
from nir_interop.workers.environment import MEMORY
from nir_interop.workers.error_messages import SHORT_OF_MEMORY
from nir_interop.workers.scheduler import Worker
from tests.matrix import fakes
from tests.matrix.matrix_runs import by_importer, plan_of, run_in, wait_until, workers_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems hold less back; docs/isolation.md says what")

KINDS = (
    *(fakes.Honest, fakes.Segfaulting, fakes.Leaving, fakes.Raising, fakes.Exhausted, fakes.Hungry, fakes.Hoarding),
    *(fakes.Sharing, fakes.Endless, fakes.Severing, fakes.Multiplying, fakes.MultiplyingAndDying),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def results(store: Path) -> Results:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MEMORY, "1G")
        return run_in(store, plan_of(*KINDS), jobs=2, time_limit=60)


@pytest.mark.parametrize(
    ("importer", "expected"),
    [
        ("endless", {"status": "run_error", "error_type": "OSError", "error_message": "[Errno 27] File too large"}),
        ("exhausted", {"status": "run_error", "error_type": "MemoryError", "error_message": SHORT_OF_MEMORY}),
        ("hoarding", {"status": "crash", "error_message": f"killed by signal 6: {SHORT_OF_MEMORY}"}),
        ("honest", {"status": "exact"}),
        ("leaving", {"status": "crash", "stage": "import", "error_message": "exited with status 0"}),
        ("multiplying", {"status": "exact"}),
        ("multiplyinganddying", {"status": "crash", "error_message": "killed by signal 9"}),
        ("raising", {"status": "import_error", "error_type": "Odd"}),
        ("segfaulting", {"status": "crash", "stage": "run", "error_message": "killed by signal 11"}),
        ("severing", {"status": "crash", "stage": "run", "error_message": "it closed the pipe through which it answers"}),
        ("sharing", {"status": "run_error", "error_type": "OSError"}),
    ],
)
def test_each_end_is_told_by_its_own_cell(results: Results, importer: str, expected: dict[str, Any]) -> None:
    row = by_importer(results, importer)
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize("importer", ["hungry", "sharing"])
def test_thirty_gigabytes_are_a_failed_cell_that_says_what_raises_the_limit(results: Results, importer: str) -> None:
    row = by_importer(results, importer)
    assert row["status"] == "run_error"
    assert row["error_message"].startswith(SHORT_OF_MEMORY)
    assert MEMORY in row["error_message"]


@pytest.mark.slow
def test_a_gigabyte_of_output_costs_nothing_but_time(tmp_path: Path) -> None:
    results = run_in(tmp_path, plan_of(fakes.Honest, fakes.Gabbling), time_limit=60)
    assert by_importer(results, "gabbling")["status"] == "exact"
    assert max(len(cell.outcome.text) for cell in results.cells) == 2000


def test_nothing_that_a_library_started_outlives_the_run(results: Results, store: Path) -> None:
    assert wait_until(lambda: not workers_of(store), 3)
    assert working_in(store) == []
    assert list((store / "tmp").iterdir()) == []


def test_an_outcome_for_want_of_memory_does_not_stand_where_there_is_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cached(memory: str) -> list[bool]:
        monkeypatch.setenv(MEMORY, memory)
        found: list[bool] = []
        run_in(tmp_path, plan_of(fakes.Honest, fakes.Exhausted), on_event=lambda event: found.append(event.cached))
        return found

    assert not any(cached("1G"))
    assert all(cached("1G"))
    assert not all(cached("2G"))


def test_a_worker_reaches_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        monkeypatch.setenv("CALLED", str(server.getsockname()[1]))
        if not _held(tmp_path)["network"]:
            pytest.skip("this system does not take the network away")
        row = by_importer(run_in(tmp_path, plan_of(fakes.Honest, fakes.Calling)), "calling")
        assert (row["error_type"], row["error_message"]) == ("RuntimeError", " ".join(["PermissionError"] * 3))
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_worker_says_what_holds_it(tmp_path: Path) -> None:
    held = _held(tmp_path)
    assert held["files"] and held["memory"] and held["privileges"]
    assert held["processes"] == (os.geteuid() != 0)


def _held(folder: Path) -> dict[str, bool]:
    worker = Worker(fakes.backend(fakes.Honest), execnet.Group(), folder / "scratch")
    worker.greet()
    worker.kill()
    return worker.held


def test_a_cell_whose_files_another_took_away_is_done_again(tmp_path: Path) -> None:
    found = run_in(tmp_path / "store", plan_of(fakes.Honest, fakes.ClearingOnce))
    assert by_importer(found, "clearingonce")["status"] == "exact"
    assert (tmp_path / "store" / "tmp" / "cleared").exists()


def test_a_library_that_always_takes_the_files_of_the_run_away_costs_no_other_cell(tmp_path: Path) -> None:
    found = run_in(tmp_path / "store", plan_of(fakes.Honest, fakes.Clearing))
    assert by_importer(found, "honest")["status"] == "exact"
    assert by_importer(found, "clearing")["importer"] == "clearing"


@pytest.mark.parametrize(
    ("said", "size"),
    [("1000", 1000), ("8G", 8 * 2**30), ("1.5 GiB", 3 * 2**29), ("512m", 2**29), ("64KB", 2**16), ("0", 0)],
)
def test_the_limit_is_what_the_variable_says(said: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY, said)
    assert memory_for(4) == size


@pytest.mark.parametrize("said", ["much", "-1", "inf", "8 Gigabyte", "1e9", "9" * 400])
def test_what_is_no_size_is_refused_in_a_line(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY, said)
    with pytest.raises(BadInput, match=f"^{MEMORY} is .* which is no size: give bytes or, say, 8G; 0 takes the limit away$"):
        memory_for()


@pytest.mark.parametrize(("there", "jobs", "each"), [(32, 1, 24), (32, 2, 12), (32, 64, 4), (4, 8, 2), (0, 2, 0)])
def test_without_it_workers_share_what_there_is(there: int, jobs: int, each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MEMORY, raising=False)
    monkeypatch.setattr(rights, "_memory", lambda: there * 2**30)
    assert memory_for(jobs) == each * 2**30


@pytest.mark.parametrize(("allowed", "each"), [("1", 4), ("4", 8), ("100", 24)])
def test_a_run_that_memory_limit_allows_is_not_stopped_by_the_share(
    allowed: str, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MEMORY, raising=False)
    monkeypatch.setenv(limits.VARIABLE, allowed)
    monkeypatch.setattr(rights, "_memory", lambda: 32 * 2**30)
    assert memory_for(64) == each * 2**30
