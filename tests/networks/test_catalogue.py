"""The catalogue: every network says what it should, and none of them is silent."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.errors import NotExpressible, UnknownName
from nir_interop.graphs import from_nir, validate
from nir_interop.networks import CubaLIF, Flatten, Neuron, catalogue, names, twins
from nir_interop.reference import simulate
from nir_interop.stimuli import stimulus_for
from nir_interop.vocabulary import Reset

ALL = (*names(), *twins())
EXPRESSIBLE = tuple(name for name in ALL if not name.startswith("csnn_maxpool"))


@pytest.mark.parametrize("name", EXPRESSIBLE)
def test_every_spiking_layer_fires_between_2_and_40_percent(name: str) -> None:
    entry = catalogue(name)
    network = entry.build(0)
    stimulus = stimulus_for(entry, network, seed=0)
    recording = simulate(from_nir(network.to_nir()), stimulus.input, network.dt)
    layers = [layer.name for layer in network.neurons() if layer.spiking]
    assert layers
    for layer in layers:
        rate = float(recording.spikes[layer].mean())
        assert 0.02 <= rate <= 0.40, f"{name}, layer {layer}: fires in {rate:.1%} of its neuron-steps"


@pytest.mark.parametrize("name", EXPRESSIBLE)
def test_the_intended_graph_has_the_shapes_of_the_network(name: str) -> None:
    network = catalogue(name).build(0)
    shapes = validate(from_nir(network.to_nir()))
    for layer, shape in network.shapes().items():
        assert shapes[layer][1] == shape


def test_max_pooling_has_no_intended_graph() -> None:
    with pytest.raises(NotExpressible, match="NIR has no max pooling"):
        catalogue("csnn_maxpool").build(0).to_nir()


@pytest.mark.parametrize("name", ALL)
def test_a_seed_fixes_the_weights_and_another_changes_them(name: str) -> None:
    build = catalogue(name).build
    first, again, other = (build(seed).parameters() for seed in (0, 0, 1))
    assert all(np.array_equal(first[key], again[key]) for key in first)
    if not name.startswith("lif_single"):
        assert not all(np.array_equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", ALL)
def test_weights_are_whole_float32_numbers_so_that_every_library_holds_the_same(name: str) -> None:
    for key, values in catalogue(name).build(0).parameters().items():
        np.testing.assert_array_equal(np.float32(values).astype(np.float64), values, err_msg=key)


def test_learned_parameters_replace_the_seeded_ones_and_nothing_else() -> None:
    network = catalogue("rlif").build(0)
    learned = {key: values + 1 for key, values in network.parameters().items()}
    changed = network.with_parameters(learned)
    for key, values in changed.parameters().items():
        np.testing.assert_array_equal(values, network.parameters()[key] + 1)
    assert [layer.name for layer in changed.layers] == [layer.name for layer in network.layers]


def test_the_published_layer_sizes_are_kept() -> None:
    shapes = catalogue("csnn_avgpool").build(0).shapes()
    assert [shapes[layer] for layer in ("conv1", "lif1", "conv2", "lif2", "flat", "fc")] == [
        (12, 24, 24), (12, 12, 12), (64, 8, 8), (64, 4, 4), (1024,), (10,)
    ]  # fmt: skip
    sizes = catalogue("rcuba").build(0).shapes()
    assert (catalogue("rcuba").build(0).input_shape, sizes["lif1"], sizes["lif2"]) == ((12,), (38,), (7,))


def test_layers_come_after_what_feeds_them() -> None:
    for name in names():
        network = catalogue(name).build(0)
        seen: set[str] = set()
        for layer, sources in network.sources().items():
            assert seen.issuperset(sources)
            seen.add(layer)


def test_flatten_is_said_in_both_of_nirs_ways() -> None:
    said = {layer.start_dim for name in names() for layer in catalogue(name).build(0).layers if isinstance(layer, Flatten)}
    assert said == {0, -3}


def test_the_mixed_network_differs_from_neuron_to_neuron() -> None:
    cell = catalogue("mlp_lif_mixed").build(0).neurons()[0]
    assert isinstance(cell, Neuron)
    values = dict(cell.parameters())
    assert len(np.unique(values["tau"])) == len(np.unique(values["v_threshold"])) == 30


def test_every_network_that_resets_to_a_value_has_a_twin_that_subtracts_and_nothing_else_has() -> None:
    assert {catalogue(name).twin_of for name in twins()} == {
        name for name in names() if catalogue(name).build(0).reset is Reset.VALUE
    }
    assert not any(catalogue(name).twin_of for name in names())
    for name in twins():
        entry, twin = catalogue(catalogue(name).twin_of), catalogue(name)
        one, other = entry.build(0), twin.build(0)
        assert (other.name, other.reset, twin.stimulation, twin.epochs) == (name, Reset.SUBTRACT, entry.stimulation, 0)
        assert [(layer.name, layer.inputs) for layer in other.layers] == [(layer.name, layer.inputs) for layer in one.layers]
        for mine, theirs in zip(other.neurons(), one.neurons(), strict=True):
            assert {key: np.asarray(value).tolist() for key, value in mine.parameters()} == {
                key: np.asarray(value).tolist() for key, value in theirs.parameters()
            }


def test_a_current_based_neuron_that_subtracts_does_what_its_equations_say() -> None:
    """Written out by hand: the synapse first, then the membrane, and the threshold taken off what is left of it."""
    entry = catalogue("rcuba_soft")
    network, dt = entry.build(0), 1e-4
    stimulus = stimulus_for(entry, network, seed=0).input[:30].astype(np.float64)
    fc1, lif1, fc2, lif2 = network.layers
    assert isinstance(lif1, CubaLIF) and isinstance(lif2, CubaLIF) and lif1.feedback is not None
    current, membrane = [np.zeros((4, 38)), np.zeros((4, 7))], [np.zeros((4, 38)), np.zeros((4, 7))]
    last, made = np.zeros((4, 38)), []
    for x in stimulus:
        x = x @ fc1.weight.T + fc1.bias + last @ lif1.feedback.weight.T + lif1.feedback.bias
        for place, layer in enumerate((lif1, lif2)):
            current[place] = (1 - dt / layer.tau_syn) * current[place] + layer.w_in * dt / layer.tau_syn * x
            membrane[place] = (1 - dt / layer.tau_mem) * membrane[place] + layer.r * dt / layer.tau_mem * current[place]
            spikes = membrane[place] > layer.v_threshold
            membrane[place] = membrane[place] - spikes * layer.v_threshold
            if place == 0:
                last, x = spikes.astype(float), spikes @ fc2.weight.T + fc2.bias
        made.append(spikes)
    recording = simulate(from_nir(network.to_nir()), stimulus, dt)
    assert np.sum(made) > 50
    np.testing.assert_array_equal(recording.output, np.array(made))


def test_an_unknown_network_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="no network 'mlp'; there are lif_single, "):
        catalogue("mlp")
