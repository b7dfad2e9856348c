"""Which node is which, and where two recordings first differ."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.compare.divergence import Divergence, first_divergence, match_nodes, membrane_gap
from nir_interop.recording import Recording


def spikes(*places, shape=(6, 2, 3)):
    array = np.zeros(shape, dtype=np.uint8)
    for place in places:
        array[place] = 1
    return array


def recording(output=None, membranes=None, **layers):
    return Recording({"output": spikes() if output is None else output}, layers, membranes or {})


@pytest.mark.parametrize("target", ["l1", "l1.neuron", "l1_", "_l1", "_l1_"])
def test_a_layer_finds_its_node(target):
    assert match_nodes(["l1"], [target]) == {"l1": target}


@pytest.mark.parametrize("target", ["l10", "l1x", "l2.l1", "L1", "1", "l1neuron"])
def test_a_layer_does_not_find_another_node(target):
    assert match_nodes(["l1"], [target]) == {}


def test_dots_count_as_underscores():
    assert match_nodes(["net.l1"], ["net_l1"]) == {"net.l1": "net_l1"}


def test_the_own_name_comes_before_likenesses_and_a_node_is_used_once():
    assert match_nodes(["l1", "l1.lif"], ["l1.lif", "l1"]) == {"l1": "l1", "l1.lif": "l1.lif"}
    assert match_nodes(["l1", "l1_"], ["l1_"]) == {"l1_": "l1_"}


def test_the_first_inner_node_by_name_stands_for_a_layer():
    assert match_nodes(["l1"], ["l1.z", "l1.a"]) == {"l1": "l1.a"}


def test_the_earliest_difference_wins_over_the_order_of_nodes():
    source = recording(a=spikes(), b=spikes())
    target = recording(a=spikes((4, 0, 0)), b=spikes((2, 1, 2)))
    assert first_divergence(source, target, ["a", "b"]) == Divergence("b", 2, 1, 2)


def test_within_a_step_the_first_node_in_topological_order_wins():
    source = recording(a=spikes(), b=spikes(), output=spikes())
    target = recording(a=spikes((2, 0, 0)), b=spikes((2, 1, 2)), output=spikes((2, 0, 0)))
    assert first_divergence(source, target, ["output", "b", "a"]).node == "b"
    assert first_divergence(source, target).node == "a"
    assert first_divergence(source, target, ["b"]).node == "b"


def test_a_difference_at_the_output_alone_names_the_output_node_and_its_own_neuron():
    outputs = {"left": spikes(), "right": spikes()}
    source = Recording(outputs)
    target = Recording(outputs | {"right": spikes((3, 1, 2))})
    assert first_divergence(source, target) == Divergence("right", 3, 1, 2)


def test_inner_shapes_are_compared_flattened():
    source = recording(conv=spikes((1, 0, 1, 1), shape=(6, 2, 2, 2)))
    assert first_divergence(source, recording(conv=spikes((1, 0, 3), shape=(6, 2, 4)))) is None
    assert first_divergence(source, recording(conv=spikes((5, 0, 3), shape=(6, 2, 4)))) == Divergence("conv", 1, 0, 3)


def test_a_node_of_another_shape_or_recorded_on_one_side_only_is_left_out():
    source = recording(a=spikes((0, 0, 0)), b=spikes((0, 0, 0)))
    assert first_divergence(source, recording(a=spikes(shape=(6, 2, 4)))) is None


def test_the_largest_membrane_difference_is_that_of_matched_nodes_within_the_first_samples():
    ours, theirs = np.zeros((5, 8, 2)), np.zeros((5, 8, 2))
    theirs[3, 1, 1] = -0.25
    theirs[3, 6, 1] = 9
    source = recording(membranes={"l1": ours, "l2": ours})
    target = recording(membranes={"l1.lif": theirs, "other": theirs + 5})
    assert membrane_gap(source, target) == 0.25
    assert membrane_gap(source, recording(membranes={"other": theirs})) is None


def test_a_membrane_that_is_not_a_number_is_left_out_of_the_largest_difference():
    ours = np.zeros((5, 2, 2), dtype=np.float32)
    theirs = ours.copy()
    theirs[0, 0, 0], theirs[1, 0, 0] = np.nan, 0.5
    assert membrane_gap(recording(membranes={"l1": ours}), recording(membranes={"l1": theirs})) == 0.5
    assert membrane_gap(recording(membranes={"l1": ours}), recording(membranes={"l1": ours * np.nan})) is None
