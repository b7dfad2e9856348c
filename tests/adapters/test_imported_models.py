"""What an imported model returns, as somebody sees it who calls it by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from nir_interop.backends.adapter import load_adapter
from nir_interop.errors import NoAnswer
from nir_interop_adapters.torch_import import answer


def test_a_model_returns_an_output_and_its_state() -> None:
    assert answer(("output", "state")) == ("output", "state")


@pytest.mark.parametrize(
    ("returned", "says"),
    [(("a", "b", "state"), "2 values beside its state"), (np.zeros(2), "returns a ndarray")],
)
def test_anything_else_is_no_output(returned: Any, says: str) -> None:
    with pytest.raises(NoAnswer, match=says):
        answer(returned)


def test_snntorchs_integrator_returns_its_membrane_too_and_its_spikes_are_the_output(tmp_path: Path) -> None:
    one = np.ones(1, np.float32)
    nodes = {
        "input": nir.Input({"input": np.array([1])}),
        "if": nir.IF(r=one, v_threshold=one, v_reset=0 * one),
        "output": nir.Output({"output": np.array([1])}),
    }
    nir.write(tmp_path / "graph.nir", nir.NIRGraph(nodes, [("input", "if"), ("if", "output")]))
    adapter = load_adapter("snntorch")
    adapter.prepare()
    drive = np.full((8, 1, 1), 0.4, np.float32)
    recording = adapter.run(adapter.load(tmp_path / "graph.nir", 1e-4), drive)
    membrane, spikes = 0.0, []
    for _ in range(8):  # a leaky neuron with a decay of 0.9 that subtracts its threshold
        membrane = 0.9 * membrane + 0.4
        spikes.append(float(membrane > 1))
        membrane -= spikes[-1]
    assert recording.output.ravel().tolist() == spikes
    assert sum(spikes) > 0
