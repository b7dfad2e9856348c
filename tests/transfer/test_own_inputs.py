"""Inputs for modules that say themselves how many steps they run."""

from __future__ import annotations

import numpy as np

from nir_interop.agreement.inputs import InputSet
from nir_interop.backends.own_modules import OwnModule
from nir_interop.transfer.own_modules import as_it_takes

RNG = np.random.default_rng(0)
MADE = InputSet((RNG.random((30, 4, 3)) < 0.3).astype(np.float32), ("sparse",) * 4, scale=1.0)


def test_a_module_that_takes_what_it_is_given_is_given_all_of_it() -> None:
    assert as_it_takes(MADE, None) is MADE
    assert as_it_takes(MADE, OwnModule({}, (), 1e-4)) is MADE


def test_a_module_of_so_many_steps_is_given_no_more() -> None:
    found = as_it_takes(MADE, OwnModule({}, (), 1e-4, steps=12))
    np.testing.assert_array_equal(found.input, MADE.input[:12])


def test_a_module_that_repeats_a_frame_is_given_the_same_at_each_step() -> None:
    found = as_it_takes(MADE, OwnModule({}, (), 1e-4, steps=12, constant=True)).input
    assert found.shape == (12, 4, 3)
    assert (found == found[:1]).all()
    sums = MADE.input[:12].sum(2)
    np.testing.assert_array_equal(found[0].sum(1), sums.max(0))
    assert all(any((found[0, each] == frame).all() for frame in MADE.input[:12, each]) for each in range(4))
