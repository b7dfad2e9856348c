"""What adapters record with: names through nested graphs, and what was seen step by step."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
import pytest

from nir_interop.backends.watching import Steps, counts, nodes_of
from nir_interop.recording import MEMBRANE_SAMPLES


def chain(**nodes: nir.NIRNode) -> nir.NIRGraph:
    there = {"input": nir.Input(np.array([2])), **nodes, "output": nir.Output(np.array([2]))}
    names = [*there]
    return nir.NIRGraph(there, [*pairwise(names)])


def test_names_go_through_nested_graphs() -> None:
    inner = chain(linear=nir.Linear(np.eye(2)), scale=nir.Scale(np.ones(2)))
    graph = chain(first=nir.Linear(np.eye(2)), block=inner)
    assert [*nodes_of(graph)] == ["first", "block.linear", "block.scale"]
    assert isinstance(nodes_of(graph)["block.scale"], nir.Scale)


def test_steps_are_stacked_in_time_and_do_not_follow_what_a_library_overwrites() -> None:
    steps, state = Steps(), np.zeros((6, 3))
    for number in range(5):
        state[:] = number  # in place, as libraries do
        steps.spikes("lif1", state)
        steps.membrane("lif1", state / 2)
        steps.output(state)
    recording = steps.recording()
    expected = np.broadcast_to(np.arange(5)[:, None, None], (5, 6, 3))
    np.testing.assert_array_equal(recording.outputs["output"], expected)
    np.testing.assert_array_equal(recording.spikes["lif1"], expected)
    assert recording.spikes["lif1"].dtype == np.uint8
    assert recording.membranes["lif1"].shape == (5, MEMBRANE_SAMPLES, 3)
    np.testing.assert_array_equal(recording.membranes["lif1"], expected[:, :MEMBRANE_SAMPLES] / 2)


def test_what_is_not_seen_in_each_step_is_not_recorded() -> None:
    steps = Steps()
    for number in range(3):
        steps.output(np.zeros((2, 1)))
        steps.spikes("sometimes", np.zeros((2, 1))) if number else None
        steps.membrane("growing", np.zeros((2, number + 1)))
    recording = steps.recording()
    assert not recording.spikes and not recording.membranes


def test_nothing_put_out_is_no_recording() -> None:
    steps = Steps()
    steps.output(np.zeros((2, 1)))
    steps.output(np.zeros((2, 2)))
    with pytest.raises(ValueError):
        steps.recording()


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([0.0, 255.0]), np.uint8),
        (np.array([True, False]), np.uint8),
        (np.array([0.0, 256.0]), np.float64),
        (np.array([0, 256]), np.float64),
        (np.array([-1.0, 0.0], dtype=np.float32), np.float32),
        (np.array([0.5], dtype=np.float16), np.float32),
        (np.array([np.nan, 1.0], dtype=np.float32), np.float32),
        (np.array([np.inf], dtype=np.float32), np.float32),
    ],
)
def test_counts_are_whole_numbers_that_fit_and_all_else_keeps_its_value(values: np.ndarray, dtype: type) -> None:
    made = counts(values)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made, values)
