"""What a failing test says."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.compare import assert_same_spikes
from nir_interop.recording import Recording

CALL = {"backend": "norse", "network": "mlp_lif", "dt": 1e-4}


def recording(flip=None, shape=(10, 5, 3), membranes=None):
    spikes = (np.random.default_rng(3).random(shape) < 0.3).astype(np.uint8)
    if flip is not None:
        spikes[flip] ^= 1
    return Recording({"output": spikes}, {"l1": spikes}, {} if membranes is None else {"l1": membranes})


def message(actual, expected, **more):
    with pytest.raises(AssertionError) as caught:
        assert_same_spikes(actual, expected, **CALL, **more)
    return str(caught.value)


def test_equal_recordings_pass():
    assert_same_spikes(recording(), recording(), **CALL)


def test_a_difference_is_one_line_with_its_place():
    said = message(recording((7, 4, 2)), recording())
    assert said == "norse · mlp_lif · dt 1e-4: 1 of 150 outputs differ, first at step 7, node l1, sample 4, neuron 2"


def test_membrane_and_threshold_are_shown_where_they_are_known():
    membranes = np.full((10, 4, 3), 0.31, dtype=np.float32)
    actual = recording((7, 2, 1), membranes=membranes)
    assert message(actual, recording(), thresholds={"l1": 0.3}).endswith("neuron 1 (v 0.31, threshold 0.3)")
    each = np.array([0.1, 0.2, 0.3])
    assert message(actual, recording(), thresholds={"l1": each}).endswith("(v 0.31, threshold 0.2)")
    unseen = recording((7, 4, 1), membranes=membranes)
    assert message(unseen, recording(), thresholds={"l1": 0.3}).endswith("neuron 1 (threshold 0.3)")


def test_another_shape_is_one_line_with_both():
    said = message(recording(shape=(10, 1, 15)), recording())
    assert said == "norse · mlp_lif · dt 1e-4: the output has axes (T, B, n) = (10, 1, 15), not (10, 5, 3)"


def test_a_hidden_difference_fails_too():
    actual = recording()
    hidden = actual.spikes["l1"].copy()
    hidden[4, 0, 0] ^= 1
    said = message(Recording(actual.outputs, {"l1": hidden}), recording())
    assert "0 of 150 outputs differ, first at step 4, node l1" in said


def test_arrays_of_spikes_are_compared_as_they_are():
    spikes = recording().spikes["l1"]
    assert_same_spikes(spikes, spikes.astype(float))
    other = spikes.copy()
    other[7, 4, 2] ^= 1
    other[8] ^= 1
    with pytest.raises(AssertionError) as caught:
        assert_same_spikes(other, spikes, node="l1")
    assert str(caught.value) == "16 of 150 spikes differ, first at step 7, node l1, sample 4, neuron 2"
    with pytest.raises(AssertionError) as caught:
        assert_same_spikes(other.reshape(10, 5, 1, 3), spikes.reshape(10, 5, 1, 3), **CALL)
    assert str(caught.value) == "norse · mlp_lif · dt 1e-4: 16 of 150 spikes differ, first at step 7, sample 4, neuron 2"
    with pytest.raises(AssertionError) as caught:
        assert_same_spikes(other[:, 4, 2], spikes[:, 4, 2])
    assert str(caught.value) == "2 of 10 spikes differ, first at step 7"


def test_arrays_of_other_axes_are_one_line_with_both():
    with pytest.raises(AssertionError) as caught:
        assert_same_spikes(np.zeros((4, 2, 3)), np.zeros((4, 2)))
    assert str(caught.value) == "the array has axes (4, 2, 3), not (4, 2)"


def test_the_helper_hides_its_own_frame():
    with pytest.raises(AssertionError) as caught:
        assert_same_spikes(recording((7, 4, 2)), recording(), **CALL)
    assert caught.traceback[-1].frame.f_locals["__tracebackhide__"] is True
