"""Workers that are forked where torch is imported already are what workers are that are started by themselves."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import execnet
import numpy as np
import pytest

from nir_interop.arrays import save_arrays
from nir_interop.backends.environments import Backend, backend
from nir_interop.graphs import write
from nir_interop.recording import Recording
from nir_interop.transfer.check import Checked, run_graph
from nir_interop.vocabulary import Status
from nir_interop.workers.confinement import working_in
from nir_interop.workers.fork_server import ForkServer, fork_server, serves
from nir_interop.workers.jobs import OK, Meaning
from nir_interop.workers.scheduler import Died, Worker
from tests.known import CORE, installed
from tests.matrix import fakes
from tests.strategies import DT, chain, node

FOLDER = "WHERE_WORKERS_TELL"
SEEN = 30.0
"""Seconds within which what another worker does has to be seen."""

pytestmark = pytest.mark.skipif(not serves(backend("reference")), reason="nothing is forked here")


def forked(kind: type[fakes.Honest], name: str | None = None) -> Backend:
    """A backend of that adapter which is forked: it asks for what the server imports."""
    module = f"{kind.__module__}:{kind.__name__}"
    return replace(fakes.backend(kind, name), module=module, distributions=("torch",), versions={"torch": "1"}, search=())


class Looking(fakes.Importing):
    """Answers what its process is, as numbers: how many of some modules it has imported."""

    modules = ("torch", "nir", "snntorch", "norse", "spikingjelly", "pandas", "matplotlib")

    def run(self, model: object, stimulus: np.ndarray) -> Recording:
        import sys

        told = [name in sys.modules for name in self.modules]
        return Recording({"output": np.broadcast_to(np.float32(told), (*stimulus.shape[:2], len(told))).copy()})


class Beginning(fakes.Importing):
    """Tells that it begins to import its library."""

    def prepare(self) -> None:
        (Path(os.environ[FOLDER]) / "begun").touch()


class Waiting(fakes.Importing):
    """A reference that gives no answer before a library has begun to import."""

    def run(self, model: object, stimulus: np.ndarray) -> Recording:
        deadline = time.monotonic() + SEEN
        while not (Path(os.environ[FOLDER]) / "begun").exists():
            if time.monotonic() > deadline:
                raise RuntimeError("no library has begun")
            time.sleep(0.02)
        return super().run(model, stimulus)


KINDS = (fakes.Honest, fakes.Wrong, fakes.Killed, fakes.Leaving, fakes.Multiplying, Looking, Beginning)


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer([backend("reference"), *map(forked, KINDS)]) as made:
        yield made


@pytest.fixture
def begin(tmp_path: Path, server: ForkServer) -> Iterator[Callable[..., Worker]]:
    started = []

    def start(of: Backend, by: ForkServer | None = server) -> Worker:
        started.append(Worker(of, execnet.Group(), tmp_path / "scratch", server=by))
        started[-1].greet()
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A layer of many inputs and an integrator: an output whose last digits depend on the order of a sum."""
    weight = np.random.default_rng(0).normal(size=(7, 300)).astype(np.float32)
    neurons = {"tau": [2e-3] * 7, "r": [1.0] * 7, "v_leak": [0.0] * 7}
    path = tmp_path / "graph.nir"
    write(path, chain(node("Affine", weight=weight, bias=np.zeros(7, np.float32)), node("LI", **neurons), size=300))
    return path


@pytest.fixture
def job(graph: Path, tmp_path: Path) -> Meaning:
    stimulus = np.random.default_rng(1).random((20, 3, 300)).astype(np.float32)
    save_arrays(tmp_path / "stimulus.npz", {"input": stimulus})
    return Meaning(graph=str(graph), stimulus=str(tmp_path / "stimulus.npz"), dt=DT, save=str(tmp_path / "made.npz"))


def digest(worker: Worker, job: Meaning) -> str:
    assert worker.work(job, 60).status == OK
    return Recording.load(Path(job.save)).digest()


def checked(graph: Path, backends: list[Backend], reference: Backend, **options: Any) -> list[Checked]:
    stimulus = np.random.default_rng(1).integers(0, 2, (20, 3, 300)).astype(np.float32)
    return run_graph(graph, stimulus, DT, backends, reference, **{"time_limit": 3, "jobs": 2} | options)


def test_a_forked_worker_gives_what_a_started_one_gives_to_the_last_bit(begin: Callable[..., Worker], job: Meaning) -> None:
    assert digest(begin(backend("reference")), job) == digest(begin(backend("reference"), None), job)


@pytest.mark.slow
@pytest.mark.parametrize("name", CORE)
def test_a_library_gives_the_same_bits(name: str, begin: Callable[..., Worker], job: Meaning) -> None:
    library = installed(name)
    weight = np.random.default_rng(0).normal(size=(7, 300)).astype(np.float32)
    neurons = {"tau": [2e-3] * 7, "r": [1.0] * 7, "v_leak": [0.0] * 7, "v_reset": [0.0] * 7, "v_threshold": [0.1] * 7}
    write(Path(job.graph), chain(node("Affine", weight=weight, bias=np.zeros(7, np.float32)), node("LIF", **neurons), size=300))
    assert digest(begin(library), job) == digest(begin(library, None), job)


def test_a_forked_worker_has_the_rights_and_the_place_of_a_worker(server: ForkServer, begin: Callable[..., Worker]) -> None:
    worker, other = begin(backend("reference")), begin(backend("reference"), None)
    assert (worker.held, worker.described) == (other.held, other.described)
    assert worker.pid is not None and worker.pid not in (server.pid, os.getpid())
    assert os.getpgid(worker.pid) == worker.pid
    assert worker.pid in working_in(worker.folder)
    assert server.pid not in working_in(worker.folder)


def test_a_forked_worker_has_imported_no_library(begin: Callable[..., Worker], job: Meaning) -> None:
    assert begin(forked(Looking)).work(job, 60).status == OK
    found = dict(zip(Looking.modules, Recording.load(Path(job.save)).output[0, 0], strict=True))
    assert [name for name, imported in found.items() if imported] == ["torch", "nir"]


@pytest.mark.parametrize(
    ("kind", "how"), [(fakes.Killed, ("killed by signal 9", "run")), (fakes.Leaving, ("exited with status 0", "import"))]
)
def test_how_a_forked_worker_ended_is_known(
    kind: type[fakes.Honest], how: tuple[str, str], begin: Callable[..., Worker], job: Meaning
) -> None:
    for worker in (begin(forked(kind)), begin(forked(kind), None)):
        with pytest.raises(Died) as died:
            worker.work(job, 60)
        assert (died.value.how, died.value.stage) == how


def test_what_a_forked_workers_library_left_behind_is_ended_with_it(begin: Callable[..., Worker], job: Meaning) -> None:
    worker = begin(forked(fakes.Multiplying))
    worker.work(job, 60)
    worker.kill()
    assert working_in(worker.folder) == []


def test_where_the_server_has_ended_a_worker_is_started_by_itself(begin: Callable[..., Worker], job: Meaning) -> None:
    with ForkServer([forked(fakes.Honest), backend("reference")]) as other:
        worker = begin(forked(fakes.Honest), other)
        os.kill(other.pid, signal.SIGKILL)
        with pytest.raises(Died):
            worker.work(job, 60)  # it ends with the server
        assert begin(forked(fakes.Honest), other).work(job, 60).status == OK


def test_a_server_that_is_closed_before_it_has_imported_anything_leaves_nothing() -> None:
    begun = time.monotonic()
    with fork_server([backend("reference"), backend("exact")]) as other:
        assert other is not None
    assert time.monotonic() - begun < SEEN
    with pytest.raises(ProcessLookupError):
        os.kill(other.pid, 0)


def test_one_worker_alone_is_started_by_itself() -> None:
    with fork_server([backend("reference")]) as alone:
        assert alone is None


# A check with them.


def test_a_check_with_forked_workers_finds_what_one_with_started_ones_finds(server: ForkServer, graph: Path) -> None:
    backends = [forked(kind) for kind in (fakes.Honest, fakes.Killed, fakes.Leaving)]
    one, other = (checked(graph, backends, forked(fakes.Honest, "reference"), server=by) for by in (server, None))
    assert [each.as_dict() for each in one] == [each.as_dict() for each in other]
    assert [each.status for each in one] == [Status.EXACT, Status.CRASH, Status.CRASH]


def test_libraries_begin_before_the_reference_has_answered(
    server: ForkServer, graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))

    def own(kind: type[fakes.Honest], name: str) -> Backend:
        return replace(fakes.backend(kind, name), module=f"{__name__}:{kind.__name__}")

    found = checked(graph, [own(Beginning, "beginning")], own(Waiting, "reference"), time_limit=2 * SEEN)
    assert [each.status for each in found] == [Status.EXACT]


def test_the_references_answer_comes_first_and_one_that_hangs_delays_only_its_own(server: ForkServer, graph: Path) -> None:
    reference = forked(fakes.Honest, "reference")
    backends = [forked(fakes.Looping, "ahead"), forked(fakes.Wrong), forked(fakes.Honest, "another"), reference]
    told: list[str] = []
    threads = set[int]()

    def answered(each: Checked) -> None:
        told.append(each.importer)
        threads.add(threading.get_ident())

    found = checked(graph, backends, reference, server=server, answered=answered, jobs=2, time_limit=20)
    assert (told[0], sorted(told[1:-1]), told[-1]) == ("reference", ["another", "wrong"], "ahead")
    assert threads == {threading.get_ident()}
    assert [each.importer for each in found] == ["ahead", "wrong", "another", "reference"]
    assert (found[0].status, found[1].status) == (Status.TIMEOUT, Status.MISMATCH)


def test_what_is_told_ends_the_check_if_it_raises(server: ForkServer, graph: Path) -> None:
    def answered(each: Checked) -> None:
        raise LookupError(each.importer)

    with pytest.raises(LookupError, match="honest"):
        checked(graph, [forked(fakes.Honest)], forked(fakes.Honest, "reference"), answered=answered)
