"""Rasters and membranes of a cell as data."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from nir_interop.graphs import Graph, Node
from nir_interop.recording import Recording
from nir_interop.report.page.pictures import AFTER, BEFORE, NEURONS, Recorded, pictures

GRAPH = Graph({"lif": Node("LIF", {"v_threshold": np.array([1.0, 2.0, 3.0])})}, ())


def nothing(sample: int, steps: int) -> None:
    """No rule is known."""


def recording(spikes: Any, membranes: Any = None) -> Recording:
    """One spiking node, which is the output."""
    counts = np.asarray(spikes, dtype=np.uint8)
    kept = {} if membranes is None else {"lif": np.asarray(membranes, dtype=np.float32)}
    return Recording({"output": counts}, {"lif": counts}, kept)


def plane(picture: dict[str, Any], number: int) -> Any:
    """One of the planes of a raster: neurons × steps."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(picture["planes"][number]), dtype=np.uint8))
    size = len(picture["neurons"]), picture["steps"]
    return bits[: size[0] * size[1]].reshape(size)


def test_equal_recordings_have_no_picture() -> None:
    same = recording(np.zeros((5, 1, 3)))
    assert pictures(GRAPH, Recorded(same, nothing), Recorded(same, nothing)) == {}


def test_a_raster_has_both_sides_and_where_they_differ() -> None:
    ours, theirs = np.zeros((5, 2, 3)), np.zeros((5, 2, 3))
    ours[2, 1, 0] = ours[3, 1, 2] = theirs[3, 1, 2] = 1
    found = pictures(GRAPH, Recorded(recording(ours), nothing), Recorded(recording(theirs), nothing))
    assert found["first"] == {"node": "lif", "step": 2, "sample": 1, "neuron": 0}
    raster = found["raster"]
    assert np.array_equal(plane(raster, 0), ours[:, 1].T)
    assert np.array_equal(plane(raster, 1), theirs[:, 1].T)
    assert np.argwhere(plane(raster, 2)).tolist() == [[0, 2]]


def test_a_long_and_wide_raster_keeps_what_is_around_the_first_divergence() -> None:
    rng = np.random.default_rng(0)
    ours = (rng.random((1000, 1, 200)) < 0.1).astype(np.uint8)
    theirs = ours.copy()
    theirs[600:, :, 150] = 1 - theirs[600:, :, 150]
    raster = pictures(None, Recorded(recording(ours), nothing), Recorded(recording(theirs), nothing))["raster"]
    assert (raster["begin"], raster["steps"]) == (600 - BEFORE, BEFORE + AFTER)
    assert len(raster["neurons"]) == NEURONS and 150 in raster["neurons"]
    assert raster["of"] == 200


def test_two_counts_of_one_step_differ_though_both_fire() -> None:
    ours, theirs = np.zeros((3, 1, 1)), np.zeros((3, 1, 1))
    ours[1], theirs[1] = 1, 2
    raster = pictures(None, Recorded(recording(ours), nothing), Recorded(recording(theirs), nothing))["raster"]
    assert [plane(raster, number)[0, 1] for number in range(3)] == [1, 1, 1]


def test_values_are_curves_and_what_is_no_number_is_left_out() -> None:
    ours, theirs = np.linspace(0, 1, 4).reshape(4, 1, 1), np.array([0, np.nan, 1, np.inf]).reshape(4, 1, 1)
    found = pictures(None, Recorded(Recording({"output": ours}), nothing), Recorded(Recording({"output": theirs}), nothing))
    assert found["raster"]["values"] == [[0.0, 0.33333, 0.66667, 1.0], [0.0, None, 1.0, None]]
    assert "membrane" not in found


def test_a_membrane_is_that_of_the_first_neuron_that_differs_with_its_own_threshold() -> None:
    ours, theirs = np.zeros((5, 1, 3)), np.zeros((5, 1, 3))
    ours[2, 0, 1] = 1
    potentials = np.arange(15.0).reshape(5, 1, 3)
    found = pictures(GRAPH, Recorded(recording(ours, potentials), nothing), Recorded(recording(theirs), nothing))
    membrane = found["membrane"]
    assert membrane["threshold"] == 2.0
    assert membrane["curves"] == [[1.0, 4.0, 7.0, 10.0, 13.0], None]
    assert membrane["spikes"] == [[2], []]


def test_a_membrane_that_was_recorded_is_never_replayed() -> None:
    ours, theirs = np.zeros((5, 1, 3)), np.zeros((5, 1, 3))
    ours[2, 0, 1] = 1
    one, other = np.arange(15.0).reshape(5, 1, 3), np.full((5, 1, 3), 7.0)

    def never(sample: int, steps: int) -> Recording:
        raise AssertionError("replayed")

    found = pictures(GRAPH, Recorded(recording(ours, one), never), Recorded(recording(theirs, other), never))
    assert found["membrane"]["curves"] == [[1.0, 4.0, 7.0, 10.0, 13.0], [7.0] * 5]
    assert found["membrane"]["replayed"] == [False, False]


def test_a_replay_stands_in_only_where_it_gives_the_same_spikes() -> None:
    ours, theirs = np.zeros((5, 1, 3)), np.zeros((5, 1, 3))
    ours[2, 0, 1] = theirs[4, 0, 1] = 1
    potentials = np.ones((5, 1, 3))

    def right(sample: int, steps: int) -> Recording:
        return recording(theirs[:steps, sample : sample + 1], potentials[:steps])

    def wrong(sample: int, steps: int) -> Recording:
        return recording(ours[:steps, sample : sample + 1], potentials[:steps])

    source = Recorded(recording(ours, potentials), nothing)
    assert pictures(GRAPH, source, Recorded(recording(theirs), right))["membrane"]["replayed"] == [False, True]
    assert pictures(GRAPH, source, Recorded(recording(theirs), wrong))["membrane"]["curves"][1] is None
