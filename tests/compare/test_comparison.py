"""What a table is told about two recordings."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.compare import MINIMUM_SPIKES, Comparison, compare
from nir_interop.recording import Recording
from nir_interop.schema import REPORT
from nir_interop.vocabulary import Readout, Status

SPIKE_MEASURES = ("van_rossum", "victor_purpura", "coincidence")


def raster(seed=0, shape=(40, 4, 3), rate=0.2):
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.uint8)


def values(seed=0, shape=(40, 4, 3)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def against(source, target, labels=None, readout=Readout.RATE, **more):
    """Compare two outputs."""
    return compare(Recording({"output": source}), Recording({"output": target}), readout=readout, labels=labels, **more)


def test_equal_outputs_are_exact_and_at_no_distance():
    result = against(raster(), raster())
    assert result.status is Status.EXACT
    assert (result.mismatched, result.mismatch_rate, result.first_step, result.first_node) == (0, 0.0, None, None)
    assert (result.van_rossum, result.victor_purpura, result.coincidence) == (0, 0, 1)
    assert (result.best_lag, result.raster_cosine, result.rate_cosine, result.agreement) == (0, 1, 1, 1)
    assert result.spikes_source == result.spikes_target == int(raster().sum())
    assert (result.outputs, result.samples) == (480, 4)


def test_one_flipped_spike_is_a_mismatch_counted_and_placed():
    target = raster()
    target[17, 2, 1] ^= 1
    result = against(raster(), target)
    assert result.status is Status.MISMATCH
    assert (result.mismatched, result.outputs, result.mismatch_rate) == (1, 480, pytest.approx(1 / 480))
    assert (result.first_step, result.first_node) == (17, "output")
    assert abs(result.spikes_source - result.spikes_target) == 1
    assert result.van_rossum > 0 and result.victor_purpura > 0 and result.coincidence < 1


def test_the_type_of_the_counts_does_not_matter():
    assert against(raster(), raster().astype(np.float32)).status is Status.EXACT
    assert against(raster().astype(np.float64), raster()).spikes_target == int(raster().sum())


@pytest.mark.parametrize("change", [0, 1])
def test_fewer_than_twenty_spikes_prove_no_agreement_but_a_difference_is_one(change):
    source = np.zeros((40, 1, 3), dtype=np.uint8)
    source[: MINIMUM_SPIKES - 1, 0, 0] = 1
    target = source.copy()
    target[39, 0, 2] = change
    result = against(source, target)
    assert result.status is (Status.MISMATCH if change else Status.VACUOUS)
    assert (result.mismatched, result.spikes_source) == (change, MINIMUM_SPIKES - 1)


def test_twenty_spikes_are_enough():
    source = np.zeros((40, 1, 3), dtype=np.uint8)
    source[:MINIMUM_SPIKES, 0, 0] = 1
    assert against(source, source).status is Status.EXACT


def test_an_output_that_never_changes_proves_nothing():
    saturated = np.zeros((40, 4, 3), dtype=np.uint8)
    saturated[:, :, 1] = 1
    assert against(saturated, saturated).status is Status.VACUOUS
    assert against(saturated * 0.3, saturated * 0.3).status is Status.VACUOUS
    assert against(saturated, raster()).status is Status.MISMATCH


def test_few_values_that_change_are_no_silence():
    few = np.full((3, 1, 1), 0.5)
    few[2] = 0.25
    assert against(few, few).status is Status.EXACT


def test_values_are_compared_in_single_precision_and_have_no_spike_measures():
    source = values().astype(np.float64)
    result = against(source, source + 1e-12, readout=Readout.LAST)
    assert result.status is Status.EXACT
    assert result.spikes_source is None and result.spikes_target is None
    assert [getattr(result, name) for name in SPIKE_MEASURES] == [None] * 3
    assert result.agreement == 1
    assert against(source, source + 1e-3).status is Status.MISMATCH


def test_spikes_against_values_have_no_spike_measures():
    result = against(raster(), values())
    assert result.status is Status.MISMATCH
    assert result.spikes_source is not None and result.spikes_target is None and result.van_rossum is None


def test_not_a_number_differs_from_everything_itself_included():
    source, target = values(), values()
    target[3, 1, 0] = np.nan
    assert against(source, target).mismatched == 1
    assert against(target, target).mismatched == 1
    assert against(target, target).status is Status.MISMATCH


def test_infinities_and_overflow_in_single_precision_warn_of_nothing():
    target = values().astype(np.float64)
    target[0, 0, 0], target[1, 0, 0], target[2, 0, 0] = np.inf, -np.inf, 1e300
    assert against(values(), target).mismatched == 3


@pytest.mark.parametrize("shape", [(40, 1, 12), (39, 4, 3), (40, 4, 4), (40, 4), (40,)])
def test_another_shape_says_both(shape):
    result = against(raster(), np.zeros(shape, dtype=np.uint8), labels=np.zeros(4, dtype=np.int64))
    assert result.status is Status.WRONG_SHAPE
    assert "(40, 4, 3)" in result.error_message and "\n" not in result.error_message
    assert result.mismatched is None and result.accuracy_target is None and result.accuracy_source is not None


def test_the_shape_is_that_of_the_flattened_output():
    assert against(raster(), raster().reshape(40, 4, 1, 3)).status is Status.EXACT


def test_outputs_that_do_not_fit_together_are_of_another_shape():
    target = Recording({"a": np.zeros((40, 4, 3)), "b": np.zeros((30, 4, 3))})
    result = compare(Recording({"output": raster()}), target, readout=Readout.RATE, labels=None)
    assert result.status is Status.WRONG_SHAPE
    assert "(30, 4, 3) at b" in result.error_message
    nothing = compare(Recording({"output": raster()}), Recording({}), readout=Readout.RATE, labels=None)
    assert (nothing.status, "missing" in nothing.error_message) == (Status.WRONG_SHAPE, True)


def test_a_wrong_shape_still_tells_where_the_layers_before_it_differ():
    hidden = raster(1)
    changed = hidden.copy()
    changed[7, 0, 0] ^= 1
    source = Recording({"output": raster()}, {"l1": hidden})
    target = Recording({"output": raster(shape=(40, 1, 12))}, {"l1": changed})
    result = compare(source, target, readout=Readout.RATE, labels=None)
    assert (result.status, result.first_step, result.first_node) == (Status.WRONG_SHAPE, 7, "l1")


def test_outputs_can_agree_where_a_layer_differs_and_the_row_says_where():
    hidden = raster(1)
    changed = hidden.copy()
    changed[7, 0, 0] ^= 1
    source, target = (Recording({"output": raster()}, {"l1": spikes}) for spikes in (hidden, changed))
    result = compare(source, target, readout=Readout.RATE, labels=None)
    assert (result.status, result.first_step, result.first_node) == (Status.EXACT, 7, "l1")


def test_accuracy_is_read_from_the_rate_with_ties_to_the_lower_class():
    source = np.zeros((20, 4, 2), dtype=np.uint8)
    source[:10, :2, 0] = source[:10, 2:, 1] = 1
    target = source.copy()
    target[:, 2] = 0
    result = against(source, target, labels=np.array([0, 0, 1, 0]))
    assert (result.accuracy_source, result.accuracy_target, result.accuracy_delta) == (0.75, 0.5, -0.25)
    assert result.agreement == 0.75


def test_accuracy_is_read_from_the_last_step_of_values():
    source = values()
    labels = source[-1].argmax(axis=-1)
    assert against(source, -source, labels=labels, readout=Readout.LAST).accuracy_source == 1
    assert against(source, source, labels=labels, readout=Readout.LAST).accuracy_delta == 0


def test_without_labels_or_classes_there_is_no_accuracy():
    assert against(raster(), raster()).accuracy_source is None
    lone = raster(shape=(200, 2, 1))
    result = against(lone, lone, labels=np.zeros(2, dtype=np.int64))
    assert (result.status, result.accuracy_source, result.agreement) == (Status.EXACT, None, None)


def test_labels_of_another_batch_are_refused():
    with pytest.raises(ValueError, match="4 samples"):
        against(raster(), raster(), labels=np.zeros(3, dtype=np.int64))


def test_a_membrane_difference_is_reported_beside_equal_spikes():
    membranes = np.zeros((40, 4, 3), dtype=np.float32)
    source, target = (Recording({"output": raster()}, {}, {"l1": v}) for v in (membranes, membranes + 0.5))
    result = compare(source, target, readout=Readout.RATE, labels=None)
    assert (result.status, result.v_max_abs) == (Status.EXACT, 0.5)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 100), st.integers(0, 100))
def test_the_order_of_samples_does_not_matter(one, other):
    source, target = raster(one), raster(other)
    labels = np.array([0, 1, 2, 1])
    shuffled = np.random.default_rng(other).permutation(4)
    there = against(source, target, labels).as_dict()
    here = against(source[:, shuffled], target[:, shuffled], labels[shuffled]).as_dict()
    assert {k: pytest.approx(v) if isinstance(v, float) else v for k, v in there.items()} == here


def test_fields_are_columns_of_the_report_in_its_order():
    names = [field.name for field in fields(Comparison)]
    assert names == [name for name in REPORT.names if name in names]
    row = against(raster(), raster(1)).as_dict()
    assert list(row) == names
    assert row["status"] == "mismatch" and type(row["status"]) is str


def test_comparing_needs_numpy_alone():
    probe = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'torch', 'nir', 'scipy', 'pandas', 'pandera', 'h5py'}: raise ImportError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "import nir_interop.compare\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
