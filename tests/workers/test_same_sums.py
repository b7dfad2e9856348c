"""Workers add up alike, whatever the processor has and the caller's environment says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nir_interop.backends.environments import Backend, backend
from nir_interop.graphs import Graph
from nir_interop.workers.environment import SAME_SUMS
from nir_interop.workers.live import LiveBackend
from tests.matrix import fakes
from tests.strategies import DT, chain, node


class Wide(fakes.Importing):
    """Answers what its process was told of the processor, as numbers."""

    def run(self, model: object, stimulus: np.ndarray) -> fakes.Recording:
        import os

        told = [os.environ.get(name, "") == value for name, value in SAME_SUMS.items()]
        return fakes.Recording({"output": np.broadcast_to(np.float32(told), (*stimulus.shape[:2], len(told))).copy()})


def values() -> Graph:
    """A layer of many inputs and an integrator: an output whose last digits depend on the order of a sum."""
    weight = np.random.default_rng(0).normal(size=(7, 300)).astype(np.float32)
    neurons = {"tau": [2e-3] * 7, "r": [1.0] * 7, "v_leak": [0.0] * 7}
    return chain(node("Affine", weight=weight, bias=np.zeros(7, np.float32)), node("LI", **neurons), size=300)


def as_backend(kind: type[fakes.Honest]) -> Backend:
    return replace(fakes.backend(kind), module=f"{__name__}:{kind.__name__}")


def test_a_worker_is_told_to_add_up_as_every_processor_can(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SAME_SUMS:
        monkeypatch.setenv(name, "other")
    with LiveBackend(as_backend(Wide)) as run:
        assert run(values(), np.ones((2, 1, 300), np.float32), DT).output.all()


@pytest.mark.slow
def test_values_are_the_same_to_the_last_digit_whatever_the_callers_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    stimulus = np.random.default_rng(1).random((20, 3, 300)).astype(np.float32)
    found = set()
    for kernels, instructions, order, threads in (("default", "SSE41", "COMPATIBLE", "1"), ("avx2", "ALL", "AUTO", "2")):
        monkeypatch.setenv("ATEN_CPU_CAPABILITY", kernels)
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", instructions)
        monkeypatch.setenv("MKL_CBWR", order)
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        with LiveBackend(backend("norse")) as run:
            found.add(run(values(), stimulus, DT).digest())
    assert len(found) == 1
