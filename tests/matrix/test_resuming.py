"""Whatever ends a run or a worker, the tables are in the end those of an undisturbed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nir_interop.matrix.campaign import Event
from nir_interop.workers.scheduler import Task
from tests.matrix import fakes
from tests.matrix.matrix_runs import NETWORK, SOON, plan_of, run_in, start_driver, tables, wait_until, workers_of

KINDS = (fakes.Honest, fakes.Wrong, fakes.Slow, fakes.Failing, fakes.Flipping, fakes.Killed)
NETWORKS = (NETWORK, "mlp_lif")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return tables(run_in(folder / "store", plan_of(*KINDS, networks=NETWORKS), jobs=2), folder)


def test_the_order_of_work_and_the_number_of_workers_do_not_show(
    tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Task, "__lt__", lambda one, other: (other.urgency, other.order) < (one.urgency, one.order))
    assert tables(run_in(tmp_path / "store", plan_of(*KINDS, networks=NETWORKS), jobs=1), tmp_path) == undisturbed


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_no_process_and_the_next_one_finishes_it(
    tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    store = tmp_path / "store"
    driver = start_driver(store, KINDS, NETWORKS)
    assert driver.stdout is not None
    with driver.stdout:
        for line in driver.stdout:
            if int(line.split()[0]) >= 8:
                break
        assert workers_of(store)
        driver.kill()
        driver.wait()
    assert wait_until(lambda: not workers_of(store), 3)
    finished = len(list((store / "cells").glob("*.json")))
    cached = []
    results = run_in(store, plan_of(*KINDS, networks=NETWORKS), on_event=lambda event: cached.append(event.cached))
    assert finished > 0
    assert any(cached)
    assert not all(cached)
    assert tables(results, tmp_path) == undisturbed


def test_a_hung_worker_ends_with_its_killed_run(tmp_path: Path) -> None:
    store = tmp_path / "store"
    driver = start_driver(store, (fakes.Honest, fakes.Looping, fakes.Sleeping))
    assert driver.stdout is not None
    with driver.stdout:
        assert wait_until(lambda: len(workers_of(store)) >= 2, 20)
        time.sleep(1)
        driver.kill()
        driver.wait()
    assert wait_until(lambda: not workers_of(store), 3)


def test_a_worker_that_is_killed_from_outside_does_not_show(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    store = tmp_path / "store"
    killed = []

    def kill_one(event: Event) -> None:
        if event.kind == "cell" and event.name.count("slow") and len(killed) < 2:
            for pid in workers_of(store):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    results = run_in(store, plan_of(*KINDS, networks=NETWORKS), jobs=2, on_event=kill_one)
    assert killed
    assert tables(results, tmp_path) == undisturbed


def test_an_interrupt_ends_the_run_at_once_and_keeps_what_is_finished(tmp_path: Path) -> None:
    store = tmp_path / "store"
    driver = start_driver(store, (fakes.Honest, fakes.Looping, fakes.Slow))
    assert driver.stdout is not None
    with driver.stdout:
        for line in driver.stdout:
            if int(line.split()[0]) >= 4:
                break
        started = time.monotonic()
        driver.send_signal(signal.SIGINT)
        try:
            driver.wait(2 * SOON)
        except subprocess.TimeoutExpired:
            driver.kill()
        taken = time.monotonic() - started
    assert taken < SOON
    assert driver.returncode not in (0, -signal.SIGKILL)
    assert not workers_of(store)
    assert list((store / "cells").glob("*.json"))


def test_an_interrupt_does_not_wait_for_a_library_to_be_imported(tmp_path: Path) -> None:
    store = tmp_path / "store"
    driver = start_driver(store, (fakes.Honest, fakes.Heavy))
    assert driver.stdout is not None
    with driver.stdout:
        assert wait_until(lambda: len(workers_of(store)) >= 2, 20)
        time.sleep(1)
        started = time.monotonic()
        driver.send_signal(signal.SIGINT)
        driver.wait(2 * SOON)
    assert time.monotonic() - started < SOON
    assert not workers_of(store)


@pytest.mark.slow
def test_two_runs_may_share_a_store(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    store = tmp_path / "store"
    drivers = [start_driver(store, KINDS, NETWORKS, jobs=1) for _ in range(2)]
    for driver in drivers:
        output, _ = driver.communicate(timeout=120)
        assert output.endswith("complete\n")
    cached: list[bool] = []
    results = run_in(store, plan_of(*KINDS, networks=NETWORKS), on_event=lambda event: cached.append(event.cached))
    assert all(cached)
    assert tables(results, tmp_path) == undisturbed


def test_half_written_changed_and_swapped_files_count_as_absent(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    store = tmp_path / "store"
    plan = plan_of(*KINDS, networks=NETWORKS)
    run_in(store, plan, jobs=2)
    damaged = sorted(store.glob("*/*.json"))[::3] + sorted((store / "objects").iterdir())[::2]
    for number, path in enumerate(damaged):
        content = path.read_bytes()
        other = damaged[number - 1]
        wrong = [b"", content[: len(content) // 2], content[:-9] + b"x" + content[-8:], b"[]"]
        wrong.append(other.read_bytes() if other.is_file() else b"")  # what another has, under this one's name
        path.unlink()
        if number % 6 == 5:
            path.mkdir()
        else:
            path.write_bytes(wrong[number % 6])
    cached: list[bool] = []
    results = run_in(store, plan, jobs=2, on_event=lambda event: cached.append(event.cached))
    assert not all(cached)
    assert tables(results, tmp_path) == undisturbed
