"""What libraries' own neurons do, each as its adapter writes it: facts that were measured and must stay so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nir_interop.backends.environments import backend
from nir_interop.errors import CannotBuild, RunFailed
from nir_interop.explain.probes import Variation, neuron
from nir_interop.explain.probes.neurons import cycle, single
from nir_interop.fingerprint import Fingerprint, Gains, GainState, Identified
from nir_interop.graphs import Graph, Node
from nir_interop.networks import IF, LIF, Affine, Feedback, Network
from nir_interop.networks.serialization import document_of, network_from
from nir_interop.rule import Comparison, ResetKind, Start, Timing
from nir_interop.store.store import Store
from nir_interop.transfer.fingerprints import native_fingerprints, native_neurons, native_rules
from nir_interop.vocabulary import Idiom, Reset, Status
from nir_interop.workers.live import LiveBackend, network_of_graph
from tests.known import installed

SOFT, HARD = Reset.SUBTRACT, Reset.VALUE


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def found(name: str, store: Store, *kinds: str, recurrent: bool = False) -> dict[str, Fingerprint]:
    """Options → fingerprint of an installed library, for some primitives."""
    library = installed(name)
    rules = native_neurons(library, store, kinds=kinds, recurrent=recurrent)
    return {fingerprint.options: fingerprint for fingerprint in rules.fingerprints}


def only(fingerprint: Fingerprint) -> Identified:
    (one,) = fingerprint.rules.values()
    assert one.outputs > 100_000
    return one


@pytest.mark.slow
def test_snntorch_resets_by_subtraction_one_step_late_unless_told_otherwise(store: Store) -> None:
    own = found("snntorch", store, "LIF")
    late = only(own["Leaky(reset_mechanism='subtract', reset_delay=True)"])
    assert (late.rule.reset, late.rule.timing, late.mismatched) == (ResetKind.SUBTRACT, Timing.NEXT_STEP, 0)
    hard = only(own["Leaky(reset_mechanism='zero', reset_delay=False)"])
    assert (hard.rule.timing, hard.rule.comparison, hard.mismatched) == (Timing.SAME_STEP, Comparison.ABOVE, 0)


@pytest.mark.slow
def test_snntorchs_prompt_subtraction_is_carried_into_the_next_comparison(store: Store) -> None:
    """It decides on v − θ, having subtracted at the start of the step, and gives θ back where no spike follows."""
    prompt = only(found("snntorch", store, "LIF")["Leaky(reset_mechanism='subtract', reset_delay=False)"])
    assert (prompt.rule.reset, prompt.rule.timing, prompt.mismatched) == (ResetKind.SUBTRACT, Timing.CARRIED, 0)


@pytest.mark.slow
def test_norses_box_cell_starts_at_its_leak_and_keeps_v_reset(store: Store) -> None:
    own = found("norse", store, "LIF", "IF")
    hard, soft = (only(own[f"LIFBoxCell(reset_method=reset_{method})"]) for method in ("value", "subtract"))
    assert (hard.rule.start, hard.rule.reset, hard.mismatched) == (Start.LEAK, ResetKind.TO_VALUE, 0)
    assert (soft.rule.start, soft.rule.reset, soft.rule.timing) == (Start.LEAK, ResetKind.SUBTRACT, Timing.SAME_STEP)
    assert soft.mismatched == 0
    assert only(own["IAFCell"]).rule.start is Start.RESET


@pytest.mark.slow
def test_norses_if_is_probed_once_for_all_idioms_and_has_no_soft_reset(store: Store) -> None:
    rules = native_neurons(backend("norse"), store, kinds=("LIF", "IF"))
    assert [fingerprint.options for fingerprint in rules.fingerprints] == [
        "IAFCell",
        "LIFBoxCell(reset_method=reset_subtract)",
        "LIFBoxCell(reset_method=reset_value)",
    ]
    assert {way: sorted(each.rules) for way, each in rules.by_way().items()} == {
        (reset, idiom): kinds for reset, kinds in ((HARD, ["IF", "LIF"]), (SOFT, ["LIF"])) for idiom in Idiom
    }


@pytest.mark.slow
def test_spikingjelly_fires_at_its_threshold_whatever_becomes_of_the_input(store: Store) -> None:
    own = found("spikingjelly", store, "LIF")
    assert sorted(own) == [
        f"LIFNode(decay_input={kept}, v_reset={rest})" for kept in (False, True) for rest in ("None", "float")
    ]
    for fingerprint in own.values():
        one = only(fingerprint)
        assert (one.rule.comparison, one.mismatched) == (Comparison.AT_OR_ABOVE, 0)
    hard = native_neurons(backend("spikingjelly"), store, kinds=("LIF",)).by_way()[HARD, Idiom.PORTABLE]
    both = [own[f"LIFNode(decay_input={kept}, v_reset=float)"].rules["LIF"].outputs for kept in (False, True)]
    assert hard.rules["LIF"].outputs == sum(both)


def test_a_stored_fingerprint_is_the_one_that_was_found(store: Store, tmp_path: Path) -> None:
    reference = backend("reference")
    once = native_neurons(reference, store, kinds=("LI",))
    assert native_neurons(reference, store, kinds=("LI",)) == once
    assert [fingerprint.options for fingerprint in once.fingerprints] == ["LI"]


def test_the_exact_backend_builds_nothing_of_its_own(store: Store) -> None:
    assert native_fingerprints(backend("exact"), store) == {}
    network = Network("one", (3,), (LIF(name="lif", tau=1e-3),))
    assert native_rules(backend("exact"), network, Idiom.PORTABLE, store) == {}


def test_a_network_comes_back_from_plain_data_with_all_its_digits() -> None:
    feedback = Feedback(weight=np.full((2, 2), 0.1), bias=np.array([0.1, 1 / 3]))
    layers = (Affine(name="fc", weight=np.eye(2) / 3), IF(name="if", r=np.array([1 / 3, 0.1]), feedback=feedback))
    again = network_from(document_of(Network("one", (2,), layers, dt=1e-3, reset=SOFT)))
    assert (again.dt, again.reset, again.input_shape) == (1e-3, SOFT, (2,))
    fc, neuron_layer = again.layers
    assert isinstance(fc, Affine) and isinstance(neuron_layer, IF) and neuron_layer.feedback is not None
    np.testing.assert_array_equal(fc.weight, np.eye(2) / 3)
    np.testing.assert_array_equal(neuron_layer.r, [1 / 3, 0.1])
    np.testing.assert_array_equal(neuron_layer.feedback.bias, [0.1, 1 / 3])


def test_parameters_of_single_precision_become_the_numbers_that_were_meant() -> None:
    node = neuron("LIF", 1e-4, Gains(GainState.MATCHED), Variation())
    assert node["tau"].dtype == np.float32
    (layer,) = network_of_graph(single(node, 3), 1e-4, HARD).neurons()
    assert isinstance(layer, LIF)
    np.testing.assert_array_equal(layer.tau, [10 * 1e-4] * 3)
    np.testing.assert_array_equal(layer.r, layer.tau / np.float64(1e-4))


def test_a_nested_recurrence_becomes_feedback() -> None:
    graph = cycle(neuron("LIF", 1e-4, Gains(GainState.MATCHED), Variation()), 3, 0.5, 0.25, nested=True)
    (layer,) = network_of_graph(graph, 1e-4, HARD).neurons()
    assert layer.feedback is not None and "." not in layer.name
    np.testing.assert_array_equal(layer.feedback.bias, [0.25] * 3)


def test_a_threshold_alone_is_no_layer_and_is_refused() -> None:
    graph = single(Node("Threshold", {"threshold": np.ones(3)}), 3)
    with pytest.raises(CannotBuild, match="no layer for a Threshold"):
        network_of_graph(graph, 1e-4, HARD)


def test_a_neuron_that_is_written_otherwise_is_refused_with_how() -> None:
    installed("spikingjelly")
    graph: Graph = single(neuron("LIF", 2.0**-13, Gains(GainState.ONE), Variation()), 3)
    with LiveBackend(backend("spikingjelly")) as live, pytest.raises(RunFailed, match="written as LIFNode") as refused:
        live.native(HARD, Idiom.PORTABLE, "LIFNode(decay_input=False, v_reset=float)")(graph, np.zeros((4, 1, 3)), 2.0**-13)
    assert refused.value.status == str(Status.REFUSED)
