"""What the time step does, on backends whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nir_interop.conformance.sweep import NEURONS, STEPS, sweep_neuron
from nir_interop.errors import RunFailed
from nir_interop.graphs import Graph
from nir_interop.recording import Recording
from nir_interop.reference import exact_simulator, simulate
from nir_interop.rule import NIR_MEANING, ResetKind, TimeStep

COARSE_TO_FINE = STEPS[:7]


def euler(graph: Graph, stimulus: Any, dt: float) -> Recording:
    return simulate(graph, stimulus, dt)


def continuous(graph: Graph, stimulus: Any, dt: float) -> Recording:
    return exact_simulator(graph, dt).run(stimulus)[0]


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
def test_forward_euler_converges_with_the_first_power_of_the_step(kind: str) -> None:
    rows = sweep_neuron(euler, kind, COARSE_TO_FINE, seed=0)
    assert rows[0]["spike_time_error_order"] == pytest.approx(1, abs=0.2)
    assert rows[0]["membrane_error_order"] == pytest.approx(1, abs=0.1)
    assert rows[-1]["missing"] == rows[-1]["extra"] == 0
    assert rows[-1]["spikes"] == rows[-1]["spikes_exact"] > 10


@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF"])
def test_continuous_time_is_off_by_less_than_half_a_step(kind: str) -> None:
    for row in sweep_neuron(continuous, kind, COARSE_TO_FINE, seed=0):
        assert row["missing"] == row["extra"] == 0
        assert row["spike_time_error"] <= row["floor"]
        assert row["membrane_error"] == pytest.approx(0, abs=1e-12)


def test_an_integrator_without_threshold_has_a_membrane_error_and_no_spikes() -> None:
    rows = sweep_neuron(euler, "LI", COARSE_TO_FINE, seed=0)
    assert all(row["spikes"] is None and row["spike_time_error"] is None for row in rows)
    assert rows[0]["membrane_error_order"] == pytest.approx(1, abs=0.1)


def test_a_fixed_time_step_is_right_at_its_own_step_alone() -> None:
    def fixed(graph: Graph, stimulus: Any, dt: float) -> Recording:
        return simulate(graph, stimulus, dt, NIR_MEANING.but(time_step=TimeStep.FIXED, reset=ResetKind.TO_VALUE))

    rows = {row["dt"]: row for row in sweep_neuron(fixed, "LIF", COARSE_TO_FINE, seed=0)}
    assert rows[1e-4]["missing"] == rows[1e-4]["extra"] == 0
    assert rows[1e-3]["missing"] > 5
    assert rows[1e-5]["extra"] > 5
    assert rows[1e-4]["spike_time_error_order"] is None


def test_a_refusal_is_a_row_of_its_own() -> None:
    def refuse(graph: Graph, stimulus: Any, dt: float) -> Recording:
        if dt != 1e-4:
            raise RunFailed("refused", "ValueError", "r must equal tau / dt")
        return simulate(graph, stimulus, dt)

    rows = sweep_neuron(refuse, "LIF", COARSE_TO_FINE, seed=0)
    assert [row["status"] for row in rows] == ["ok" if dt == 1e-4 else "refused" for dt in COARSE_TO_FINE]
    assert rows[0]["error_message"] == "r must equal tau / dt"


def test_every_step_sees_the_same_input_in_seconds() -> None:
    seen: dict[float, Any] = {}

    def watch(graph: Graph, stimulus: Any, dt: float) -> Recording:
        seen[dt] = np.asarray(stimulus)
        return simulate(graph, stimulus, dt)

    for kind in NEURONS:
        sweep_neuron(watch, kind, STEPS[:4], seed=0)
        for dt, stimulus in seen.items():
            np.testing.assert_array_equal(stimulus[:: round(max(STEPS) / dt)], seen[max(STEPS)])
