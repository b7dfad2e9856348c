"""What an adapter declares comes from its worker's greeting and is kept to: limits, and what goes before the first run."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from nir_interop.backends.adapter import Array
from nir_interop.errors import BackendMissing, RunFailed
from nir_interop.graphs import read
from nir_interop.networks import catalogue
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom
from nir_interop.workers import scheduler
from nir_interop.workers.live import LiveBackend
from tests.matrix import fakes


class Declaring(fakes.Honest):
    """Says all there is to say of itself."""

    idioms: ClassVar[Mapping[Idiom, str]] = {Idiom.PORTABLE: "as it is documented"}
    fixed_dt: ClassVar[float | None] = 1e-3
    needs: ClassVar[tuple[str, ...]] = ("declaring", "nir")
    script: ClassVar[str] = "output = stimulus"
    ships_importer: ClassVar[bool] = False
    ships_exporter: ClassVar[bool] = False
    run_limit: ClassVar[float | None] = 40.0


class Compiling(fakes.Importing):
    """Its first run takes long, and so does every run: both are declared."""

    run_limit: ClassVar[float | None] = 60.0
    warmed = 0

    def warm_up(self) -> None:
        time.sleep(1.5)
        type(self).warmed += 1

    def run(self, model: Any, stimulus: Array) -> Recording:
        time.sleep(1.5)
        return Recording({"output": np.full((len(stimulus), 1, 1), self.warmed, dtype=np.float32)})


class Growing(fakes.Importing):
    """Takes memory at its start, and more at each run; keeps all of it."""

    kept: ClassVar[list[Any]] = []

    def prepare(self) -> None:
        self.kept.append(np.ones(150 * 2**17))  # 150 MiB

    def run(self, model: Any, stimulus: Array) -> Recording:
        self.kept.append(np.ones(60 * 2**17))
        return Recording({"output": np.zeros((len(stimulus), 1, 1), dtype=np.float32)})


class Slow(fakes.Importing):
    """Takes longer to start than a library may that says nothing."""

    start_limit: ClassVar[float] = 60.0

    def prepare(self) -> None:
        time.sleep(2.5)


class TooSlow(fakes.Importing):
    """The same, and says nothing of it."""

    start_limit: ClassVar[float] = 0.1

    def prepare(self) -> None:
        time.sleep(60)


class Broken(fakes.Importing):
    """Cannot be warmed up."""

    def warm_up(self) -> None:
        raise OSError("no compiler")


def backend(kind: type[Any]) -> Any:
    return replace(fakes.backend(kind), module=f"{__name__}:{kind.__name__}")


def graph_in(folder: Path) -> Any:
    import nir

    nir.write(folder / "graph.nir", catalogue("mlp_if").build(0).to_nir())
    return read(folder / "graph.nir")


def test_the_greeting_has_all_that_an_adapter_declares() -> None:
    with LiveBackend(backend(Declaring)) as live:
        said = live.start().described
    assert said.idioms == {"portable": "as it is documented"}
    assert (said.fixed_dt, said.run_limit) == (1e-3, 40.0)
    assert (said.needs, said.script, said.refusals) == (("declaring", "nir"), "output = stimulus", ("no words for",))
    assert (said.ships_importer, said.ships_exporter) == (False, False)
    assert said.python


def test_a_run_may_take_what_its_adapter_says_and_is_warmed_up_once_before_the_clock_runs(tmp_path: Path) -> None:
    graph, stimulus = graph_in(tmp_path), np.zeros((3, 1, 20), dtype=np.float32)
    with LiveBackend(backend(Compiling), limit=0.5) as live:
        assert live(graph, stimulus, 1e-4).output.max() == 1
        assert live(graph, stimulus, 1e-4).output.max() == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say what a process uses")
def test_a_worker_is_replaced_when_it_has_grown_and_not_for_what_it_starts_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "LARGEST_GROWTH", 100 * 2**20)
    graph, stimulus = graph_in(tmp_path), np.zeros((3, 1, 20), dtype=np.float32)
    processes, most = [], 0
    with LiveBackend(backend(Growing)) as live:
        for _ in range(6):
            worker = live.start()
            processes.append(worker.pid)
            assert worker.ready_resident > 150 * 2**20
            live(graph, stimulus, 1e-4)
            most = max(most, worker.resident - worker.ready_resident)
    assert [processes.count(each) for each in dict.fromkeys(processes)] == [2, 2, 2]
    assert 100 * 2**20 < most < 200 * 2**20


def test_a_limit_that_was_run_into_is_told_as_it_was(tmp_path: Path) -> None:
    with (
        LiveBackend(fakes.backend(fakes.Looping), limit=0.5) as live,
        pytest.raises(RunFailed, match=r"no answer within 0\.5 s"),
    ):
        live(graph_in(tmp_path), np.zeros((3, 1, 20), dtype=np.float32), 1e-4)


def test_a_library_may_take_as_long_to_start_as_its_adapter_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "START_LIMIT", 2.0)
    monkeypatch.setattr(scheduler, "_LOOK_EVERY", 0.05)
    with LiveBackend(fakes.backend(fakes.Honest)) as live:
        live.start()  # the import of these tests alone fits
    with LiveBackend(backend(Slow)) as live:
        live.start()


def test_one_that_is_not_ready_in_time_is_said_to_be_so_and_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "START_LIMIT", 5.0)
    with (
        LiveBackend(backend(TooSlow)) as live,
        pytest.raises(BackendMissing, match="tooslow: its process was not ready within 5 s"),
    ):
        live.start()


def test_one_that_cannot_be_warmed_up_does_not_start() -> None:
    with LiveBackend(backend(Broken)) as live:
        for _ in range(2):  # and is begun anew, rather than half-started
            with pytest.raises(BackendMissing, match="broken: OSError: no compiler"):
                live.start()
