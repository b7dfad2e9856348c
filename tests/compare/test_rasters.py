"""Lag, cosines, and what an output is made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nir_interop.compare.rasters import MAXIMUM_LAG, best_lag, cosine, is_constant, is_counts, rate_cosine


def raster(seed=0, shape=(50, 3, 4), rate=0.2):
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.uint8)


def late(source, lag):
    """The same raster, ``lag`` steps later, silence filled in."""
    target = np.zeros_like(source)
    steps = len(source)
    target[max(0, lag) : steps + min(0, lag)] = source[max(0, -lag) : steps - max(0, lag)]
    return target


@pytest.mark.parametrize("lag", range(-MAXIMUM_LAG, MAXIMUM_LAG + 1))
def test_a_shifted_raster_is_found_at_its_shift_positive_when_late(lag):
    source = raster()
    assert best_lag(source, late(source, lag)) == (lag, pytest.approx(1))


def test_among_equal_shifts_the_smaller_wins_and_then_the_late_one():
    steady = np.ones((30, 1, 2), dtype=np.uint8)
    assert best_lag(steady, 2 * steady) == (0, pytest.approx(1))
    source, target = np.zeros((2, 30, 1, 1), dtype=np.uint8)
    source[15], target[14], target[16] = 1, 1, 1
    assert best_lag(source, target)[0] == 1


def test_a_silent_target_has_cosine_zero_and_no_lag_and_two_silent_ones_have_none():
    source, silent = raster(), np.zeros((50, 3, 4), dtype=np.uint8)
    assert best_lag(source, silent) == (None, 0.0)
    assert best_lag(silent, silent) == (None, None)
    assert rate_cosine(source, silent) == 0
    assert rate_cosine(silent, silent) is None


def test_a_recording_shorter_than_the_largest_lag_is_compared_where_it_overlaps():
    source = np.array([1, 0, 0], dtype=np.uint8).reshape(3, 1, 1)
    assert best_lag(source, source[::-1]) == (2, 1.0)


def test_cosines_are_by_hand():
    assert cosine(np.array([3, 4]), np.array([4, 3])) == pytest.approx(24 / 25)
    source, target = np.zeros((2, 4, 1, 2), dtype=np.uint8)
    source[:3, 0, 0] = source[:1, 0, 1] = 1
    target[1:4, 0, 0] = target[:3, 0, 1] = 1
    assert rate_cosine(source, target) == pytest.approx((9 + 3) / np.sqrt(10 * 18))


def test_rates_ignore_when_a_neuron_spikes():
    source = raster()
    assert rate_cosine(source, source[::-1]) == pytest.approx(1)


def test_a_value_that_is_not_finite_leaves_no_cosine():
    source = np.linspace(0, 1, 24).reshape(6, 2, 2)
    target = source.copy()
    target[2, 1, 1] = np.nan
    assert cosine(source, target) is None


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 20))
def test_lag_is_antisymmetric_and_its_cosine_symmetric(one, other, steps):
    source, target = raster(one, (steps, 2, 3), 0.3), raster(other, (steps, 2, 3), 0.3)
    (there, likeness), (back, same_likeness) = best_lag(source, target), best_lag(target, source)
    assert likeness == pytest.approx(same_likeness) if likeness is not None else same_likeness is None
    assume(there is not None)
    assert abs(there) == abs(back)


def test_counts_are_told_from_values():
    assert is_counts(np.array([0, 3], dtype=np.uint8))
    assert is_counts(np.array([0.0, 3.0], dtype=np.float32))
    for values in ([0.5, 1.0], [-1.0, 1.0], [np.nan, 1.0], [np.inf, 1.0]):
        assert not is_counts(np.array(values))


def test_an_output_is_constant_when_neither_step_nor_sample_changes_it():
    pattern = np.broadcast_to(np.array([0.5, 0.7]), (5, 3, 2))
    assert is_constant(pattern)
    assert is_constant(np.zeros((0, 3, 2)))
    changed = pattern.copy()
    changed[4, 2, 1] = 0.6
    assert not is_constant(changed)
    assert not is_constant(np.array([[[0.5, 0.7]]])), "one step of one sample can still differ from neuron to neuron"
