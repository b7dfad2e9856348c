"""Spike train distances, by hand, by their properties, and against elephant."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from nir_interop.compare import VAN_ROSSUM_TAU, VICTOR_PURPURA_COST, coincidence, van_rossum, victor_purpura

MEASURES = [van_rossum, victor_purpura, coincidence]


def train(*steps, length=60):
    """A raster with axes (T, 1, 1) that spikes at these steps; a step named twice has two spikes."""
    raster = np.zeros((length, 1, 1), dtype=np.uint8)
    np.add.at(raster, list(steps), 1)
    return raster


def rasters(maximum=3):
    shapes = array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=12)
    counts = st.integers(0, maximum)
    return shapes.flatmap(lambda shape: st.tuples(*[arrays(np.uint8, shape, elements=counts)] * 2))


def test_a_lone_spike_lies_at_van_rossum_distance_one_from_silence_wherever_it_falls():
    assert van_rossum(train(3), train()) == pytest.approx(1)
    assert van_rossum(train(), train(59)) == pytest.approx(1)


def test_van_rossum_distance_of_two_spikes_grows_with_their_gap_as_written():
    for gap in (1, 5, 40):
        by_hand = math.sqrt(2 - 2 * math.exp(-gap / VAN_ROSSUM_TAU))
        assert van_rossum(train(10), train(10 + gap)) == pytest.approx(by_hand)


def test_two_spikes_in_a_step_are_two_spikes():
    assert van_rossum(train(5, 5), train()) == pytest.approx(2)
    assert victor_purpura(train(5, 5), train()) == 2
    assert victor_purpura(train(5, 5), train(5)) == 1


def test_victor_purpura_moves_a_spike_until_deleting_and_inserting_is_cheaper():
    assert victor_purpura(train(10), train(13)) == pytest.approx(3 * VICTOR_PURPURA_COST)
    assert victor_purpura(train(10), train(20)) == pytest.approx(2)
    assert victor_purpura(train(10), train(21)) == 2
    assert victor_purpura(train(10, 30), train(12)) == pytest.approx(2 * VICTOR_PURPURA_COST + 1)


def test_victor_purpura_without_a_cost_of_moving_counts_spikes():
    assert victor_purpura(train(1, 2, 3), train(50), cost=0) == 2


def test_coincidence_of_sparse_trains_is_by_hand():
    # Two spikes each in 60 steps; one pair is within two steps of each other.
    chance = 1 - (1 - 2 / 60) ** 5
    by_hand = (1 - 2 * chance) / (2 - 2 * chance)
    assert coincidence(train(10, 30), train(12, 40)) == pytest.approx(by_hand)


def test_spikes_more_than_two_steps_apart_do_not_coincide():
    assert coincidence(train(10), train(12)) == pytest.approx(1)
    assert coincidence(train(10), train(13)) < 0


def test_coincidence_of_independent_dense_trains_is_about_zero():
    rng = np.random.default_rng(5)
    for rate in (0.05, 0.2, 0.4):
        source, target = (rng.random((2, 2000, 4, 10)) < rate).astype(np.uint8)
        assert abs(coincidence(source, target)) < 0.05


def test_a_spike_too_many_beside_another_lowers_the_coincidence():
    assert coincidence(train(10), train(10, 11)) < 0.9
    assert coincidence(train(10, 11), train(10)) < 0.9


def test_a_silent_target_coincides_with_nothing():
    assert coincidence(train(10, 20), train()) == 0


def test_coincidence_of_saturated_trains_is_zero_unless_they_are_equal():
    one, two = np.ones((30, 1, 1), dtype=np.uint8), np.full((30, 1, 1), 2, dtype=np.uint8)
    assert coincidence(one, two) == 0
    assert coincidence(one, one) == 1


def test_trains_silent_on_both_sides_are_left_out_of_the_average():
    source, target = np.zeros((2, 60, 1, 4), dtype=np.uint8)
    source[10, 0, 0] = target[13, 0, 0] = 1
    source[5, 0, 1] = target[5, 0, 1] = 1
    assert victor_purpura(source, target) == pytest.approx(3 * VICTOR_PURPURA_COST / 2)


@pytest.mark.parametrize("measure", MEASURES)
def test_silence_on_both_sides_has_no_distance(measure):
    assert measure(train(), train()) is None


@settings(deadline=None)
@given(rasters())
def test_distances_are_symmetric_zero_only_when_equal_and_blind_to_the_order_of_samples(pair):
    source, target = pair
    equal = np.array_equal(source, target)
    silent = not (source.any() or target.any())
    shuffled = np.random.default_rng(0).permutation(source.shape[1])
    for measure in MEASURES:
        there, back = measure(source, target), measure(target, source)
        if silent:
            assert there is None and back is None
            continue
        assert there == pytest.approx(back)
        assert there == pytest.approx(measure(source[:, shuffled], target[:, shuffled]))
        assert there == pytest.approx(measure(source.astype(np.float32), target.astype(np.float32)))
    if not silent:
        assert (van_rossum(source, target) == 0) is equal
        assert (victor_purpura(source, target) == 0) is equal
        gamma = coincidence(source, target)
        assert -1 <= gamma <= 1 + 1e-9
        assert not equal or gamma == 1


@settings(deadline=None)
@given(rasters(maximum=1))
def test_victor_purpura_never_costs_more_than_deleting_everything_nor_less_than_the_counts_differ(pair):
    source, target = (raster.astype(int) for raster in pair)
    spiking = np.count_nonzero(source.any(axis=0) | target.any(axis=0))
    if spiking:
        cost = victor_purpura(source, target) * spiking
        assert cost <= np.abs(source - target).sum() + 1e-9
        assert cost >= np.abs(source.sum(axis=0) - target.sum(axis=0)).sum() - 1e-9


@pytest.mark.parametrize("rates", [(0.05, 0.05), (0.4, 0.3), (0.02, 0.5)])
@pytest.mark.parametrize("tau, cost", [(VAN_ROSSUM_TAU, VICTOR_PURPURA_COST), (3.0, 1.0), (40.0, 0.01)])
def test_distances_are_those_of_elephant(rates, tau, cost):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantities as pq
        from elephant.spike_train_dissimilarity import van_rossum_distance, victor_purpura_distance
        from neo import SpikeTrain

    rng = np.random.default_rng(11)
    # Poisson counts: several spikes in a step occur.
    source, target = (rng.poisson(rate, (60, 2, 3)).astype(np.uint8) for rate in rates)
    expected = []
    for sample, neuron in np.ndindex(2, 3):
        times = [np.repeat(np.arange(60), raster[:, sample, neuron]) for raster in (source, target)]
        trains = [SpikeTrain(time, units="s", t_stop=60) for time in times]
        expected.append(
            (
                van_rossum_distance(trains, tau * pq.s)[0, 1],
                victor_purpura_distance(trains, cost * pq.Hz, algorithm="intuitive")[0, 1],
            )
        )
        one = slice(neuron, neuron + 1)
        assert van_rossum(source[:, [sample], one], target[:, [sample], one], tau) == pytest.approx(expected[-1][0])
        assert victor_purpura(source[:, [sample], one], target[:, [sample], one], cost) == pytest.approx(expected[-1][1])
    assert van_rossum(source, target, tau) == pytest.approx(np.mean(expected, axis=0)[0])
    assert victor_purpura(source, target, cost) == pytest.approx(np.mean(expected, axis=0)[1])
