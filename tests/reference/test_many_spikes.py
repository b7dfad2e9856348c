"""More spikes in a step than a byte holds."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.errors import BadStimulus
from nir_interop.reference import exact_simulator, simulate
from tests.strategies import DT, chain, node


def test_three_hundred_spikes_in_a_step_are_recorded_as_three_hundred() -> None:
    graph = chain(node("IF", r=[1 / DT], v_threshold=[1.0], v_reset=[0.0]), size=1)
    recording, _ = exact_simulator(graph, DT).run(np.full((2, 1, 1), 300.25))
    assert recording.spikes["n0"].sum() == recording.output.sum() == 600


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_stimulus_that_is_not_finite_is_refused(value: float) -> None:
    graph = chain(node("Scale", scale=[1.0]), size=1)
    with pytest.raises(BadStimulus, match="NaN or infinite"):
        simulate(graph, np.full((2, 1, 1), value), DT)
