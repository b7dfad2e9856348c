"""How fast the reference is in float32 beside the libraries' own networks, on one thread: medians of seven."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.figures import Figure

LIBRARIES = ("norse", "snntorch", "spikingjelly")
RUNS = 7
CASES = (("csnn_avgpool", 50, 64, 0.8), ("mlp_lif", 100, 64, 2.0))
"""Network, steps, batch, and how many times the fastest library's speed is asked for."""


def figures() -> list[Figure]:
    """The reference's speed as a multiple of the fastest library's; all record spikes and membranes."""
    import torch

    torch.set_num_threads(1)
    found = []
    for name, steps, batch, target in CASES:
        seconds = _medians(_runners(name, steps, batch))
        for backend in sorted(seconds):
            found.append(Figure(f"{name}, T {steps}, batch {batch}: {backend}", 1000 * seconds[backend], None, "ms"))
        ratio = min(seconds[library] for library in LIBRARIES) / seconds["reference"]
        found.append(Figure(f"{name}: reference against the fastest library", ratio, target, "×", at_most=False))
    return found


def _runners(name: str, steps: int, batch: int) -> dict[str, Callable[[], Any]]:
    from nir_interop.backends.adapter import load_adapter
    from nir_interop.graphs import from_nir
    from nir_interop.networks import catalogue
    from nir_interop.reference import Simulator
    from nir_interop.rule import NIR_MEANING, Precision
    from nir_interop.vocabulary import Idiom

    network = catalogue(name).build(0)
    x = (np.random.default_rng(0).random((steps, batch, *network.input_shape)) < 0.3).astype(np.float32)
    simulator = Simulator(from_nir(network.to_nir()), network.dt, NIR_MEANING.but(precision=Precision.FLOAT32))
    runners: dict[str, Callable[[], Any]] = {"reference": lambda: simulator.run(x)}
    for library in LIBRARIES:
        adapter = load_adapter(library)
        adapter.prepare()
        model = adapter.build(network, network.dt, Idiom.PORTABLE)
        runners[library] = lambda adapter=adapter, model=model: adapter.run(model, x)  # type: ignore[misc]
    return runners


def _medians(runners: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Seconds of each, in turn, so that a machine that drifts slows all alike; one run each is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(RUNS + 1):
        for name, run in runners.items():
            started = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(times[1:]) for name, times in taken.items()}
