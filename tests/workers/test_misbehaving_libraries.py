"""Whatever a library does to its process, a later cell gives what it gives in a fresh one."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import execnet
import numpy as np
import pytest

from nir_interop.arrays import save_arrays
from nir_interop.backends.environments import Backend
from nir_interop.compare import assert_same_spikes
from nir_interop.networks import catalogue
from nir_interop.recording import Recording
from nir_interop.workers.confinement import working_in
from nir_interop.workers.jobs import Meaning, Outcome
from nir_interop.workers.scheduler import Worker
from tests.matrix import fakes
from tests.workers import misbehaving_library as unruly
from tests.workers.misbehaving_library import FINE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

CANNOT_BE_PUT_BACK = {
    "folder_deleted": "temporary folder",
    "signal_native": "signal masks",
    "denormals": "arithmetic",
    "rounding": "arithmetic",
    "threads": "threads",
    "threads_low": "threads",
    "children": "processes",
    "program": "processes",
    "files": "open files",
    "function_numpy": "functions of other modules",
    "function_builtin": "functions of other modules",
    "function_harness": "functions of other modules",
    "function_time": "functions of other modules",
    "module": "functions of other modules",
}
"""After these the process is replaced; all else is put back."""


class Warm:
    """A worker that is kept from job to job, and replaced when the run would replace it."""

    def __init__(self, folder: Path, module: str) -> None:
        import nir

        self.folder, self.number = folder, 0
        self.backend = Backend(name="unruly", module=module, versions={}, search=(fakes.ROOT,))
        self._group = execnet.Group()
        self._worker: Worker | None = None
        nir.write(folder / "graph.nir", catalogue("mlp_if").build(0).to_nir())
        stimulus = np.random.default_rng(0).integers(0, 2, (10, 2, 20)).astype(np.float32)
        save_arrays(folder / "stimulus.npz", {"input": stimulus})

    def worker(self) -> Worker:
        if self._worker is None:
            self._worker = Worker(self.backend, self._group, self.folder / "scratch", 2**31)
            self._worker.greet()
        return self._worker

    def do(self, name: str) -> tuple[Outcome, np.ndarray | None, list[str]]:
        """Run the graph of that name; the outcome, the output, and what could not be put back."""
        self.number += 1
        graph, save = self.folder / f"{name}.nir", self.folder / f"{self.number}.npz"
        graph.write_bytes((self.folder / "graph.nir").read_bytes())
        job = Meaning(graph=str(graph), stimulus=str(self.folder / "stimulus.npz"), dt=1e-4, save=str(save))
        worker = self.worker()
        outcome = worker.work(job, 20.0)
        if worker.spent:
            self.close()
        return outcome, Recording.load(save).output if save.exists() else None, worker.left

    def close(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    made = Warm(tmp_path_factory.mktemp("unruly"), "tests.workers.misbehaving_library:Unruly")
    yield made
    made.close()


@pytest.fixture(scope="module")
def fresh(warm: Warm) -> np.ndarray:
    outcome, output, left = warm.do(FINE)
    assert (outcome.status, left) == ("ok", [])
    assert output is not None
    return output


@pytest.mark.parametrize("misdeed", unruly.MISDEEDS)
def test_a_later_cell_gives_what_it_gives_in_a_fresh_process(warm: Warm, fresh: np.ndarray, misdeed: str) -> None:
    if misdeed == "denormals" and platform.machine() != "x86_64":
        pytest.skip("the layout of the control register is that of x86-64")
    _, _, left = warm.do(misdeed)
    expected = {CANNOT_BE_PUT_BACK[misdeed]} if misdeed in CANNOT_BE_PUT_BACK else set()
    assert bool(left) == bool(expected) and expected <= set(left)
    outcome, output, left = warm.do(FINE)
    assert (outcome.status, outcome.error_message, outcome.complaints, left) == ("ok", "", (), [])
    assert_same_spikes(output, fresh)


@pytest.fixture(scope="module")
def warm_torch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    made = Warm(tmp_path_factory.mktemp("torch"), "tests.workers.misbehaving_library:UnrulyTorch")
    yield made
    made.close()


OF_TORCH = [
    "dtype",
    "torch_threads",
    "gradients",
    "determinism",
    "device",
    "seed",
    "precision",
    "anomalies",
    "torch_printing",
    "inference",
    "module_hook",
    "torch_denormals",
    "torch_function",
    "torch_method",
]
CANNOT_BE_PUT_BACK_IN_TORCH = {"inference", "module_hook", "torch_denormals", "torch_function", "torch_method"}


@pytest.mark.slow
def test_what_torch_keeps_for_a_process_is_put_back_or_ends_it(warm_torch: Warm) -> None:
    assert sorted(OF_TORCH) == sorted(unruly.of_torch())
    outcome, fresh, left = warm_torch.do(FINE)
    assert (outcome.status, left) == ("ok", [])
    for misdeed in OF_TORCH:
        _, _, left = warm_torch.do(misdeed)
        assert bool(left) == (misdeed in CANNOT_BE_PUT_BACK_IN_TORCH), (misdeed, left)
        outcome, output, left = warm_torch.do(FINE)
        assert (misdeed, outcome.status, outcome.error_message, left) == (misdeed, "ok", "", [])
        assert_same_spikes(output, fresh, network=misdeed)


def test_no_process_outlives_its_worker(warm: Warm, fresh: np.ndarray) -> None:
    warm.do("children")
    warm.close()
    assert working_in(warm.folder / "scratch") == []
