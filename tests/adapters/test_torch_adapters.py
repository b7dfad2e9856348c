"""What holds for the adapters of all three PyTorch libraries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nir_interop.backends.adapter import Adapter, load_adapter
from nir_interop.backends.building import folded_factors, scales
from nir_interop.compare import assert_same_spikes
from nir_interop.errors import CannotBuild, ReadFailed
from nir_interop.learning import Samples, TrainingSettings, accuracy, wilson_interval
from nir_interop.networks import Conv, Network, catalogue
from nir_interop.training import Trainable
from nir_interop.vocabulary import Idiom
from nir_interop_adapters.torch_support import folded_parameters
from tests.adapters.adapter_checks import assert_computes_euler, bernoulli, knowing, sent_through_a_file

DT = 1e-4
START = {"norse": "v_leak", "snntorch": "zero", "spikingjelly": "v_reset"}
"""Where each library's membranes start."""

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def network_named(name: str) -> Network:
    return catalogue(name).build(0)


@pytest.mark.parametrize("name", ["lif_single", "mlp_lif", "mlp_lif_mixed", "mlp_leak", "mlp_rest", "mlp_subtract"])
def test_a_portable_network_computes_forward_euler_where_the_library_has_words_for_it(adapter: Adapter, name: str) -> None:
    lacking = {
        ("snntorch", "mlp_leak"),
        ("snntorch", "mlp_rest"),
        ("spikingjelly", "mlp_leak"),
        ("spikingjelly", "mlp_lif_mixed"),
    }
    network = network_named(name)
    if (adapter.name, name) in lacking:
        with pytest.raises(CannotBuild, match="layer 'lif1'"):
            adapter.build(network, DT, Idiom.PORTABLE)
        return
    stimulus = bernoulli(network, batch=5, steps=250)
    recording = adapter.run(adapter.build(network, DT, Idiom.PORTABLE), stimulus)
    assert_computes_euler(recording, network, stimulus, DT, START[adapter.name])


@pytest.mark.parametrize("idiom", list(Idiom))
@pytest.mark.parametrize(
    "name", ["mlp_lif", "mlp_cuba", "mlp_if", "csnn_avgpool", "csnn_maxpool", "conv1d", "residual", "rlif"]
)
def test_libraries_build_the_same_network(name: str, idiom: Idiom) -> None:
    """snnTorch's tutorials reset a step late, which is another network: it is asked for its portable idiom."""
    network = network_named(name)
    stimulus = bernoulli(network)
    runs = {}
    for backend in START:
        adapter = load_adapter(backend)
        chosen = Idiom.PORTABLE if backend == "snntorch" else idiom
        runs[backend] = adapter.run(adapter.build(network, DT, chosen), stimulus).output
    for backend, output in runs.items():
        assert (output != runs["norse"]).mean() < 2e-3, f"{network.name}: {backend} is not what norse is"


def test_an_exported_network_comes_back_as_it_was(adapter: Adapter, tmp_path: Path) -> None:
    network = network_named("mlp_lif")
    model = adapter.build(network, DT, knowing(adapter))
    _, returned = sent_through_a_file(adapter, model, network, tmp_path, DT)
    stimulus = bernoulli(network)
    before, after = adapter.run(model, stimulus), adapter.run(returned, stimulus)
    assert_same_spikes(after.output, before.output)
    assert adapter.nodes(returned) == {"fc1", "lif1", "fc2", "lif2"}
    for name in ("lif1", "lif2"):
        assert_same_spikes(after.spikes[name], before.spikes[name])
        assert after.membranes[name].shape == before.membranes[name].shape


def test_model_graph_and_imported_model_share_no_memory(adapter: Adapter, tmp_path: Path) -> None:
    network = network_named("mlp_lif")
    model = adapter.build(network, DT, knowing(adapter))
    graph, returned = sent_through_a_file(adapter, model, network, tmp_path, DT)
    stimulus = bernoulli(network)
    before = adapter.run(returned, stimulus).digest()
    expected = np.array(graph.nodes["fc1"].weight, copy=True)
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(np.asarray(graph.nodes["fc1"].weight), expected)
    assert adapter.run(returned, stimulus).digest() == before
    np.asarray(graph.nodes["fc2"].weight)[...] = 0
    assert adapter.run(returned, stimulus).digest() == before


def test_a_run_starts_from_zero_state(adapter: Adapter, tmp_path: Path) -> None:
    network = network_named("mlp_lif")
    built = adapter.build(network, DT, knowing(adapter))
    returned = sent_through_a_file(adapter, built, network, tmp_path, DT)[1]
    stimulus = bernoulli(network)
    for model in (built, returned):
        first = adapter.run(model, stimulus)
        adapter.run(model, bernoulli(network, batch=1, seed=2))
        assert adapter.run(model, stimulus).digest() == first.digest()


@pytest.mark.parametrize("batch", [1, 3])
def test_samples_of_a_batch_do_not_touch_each_other(adapter: Adapter, batch: int) -> None:
    network = network_named("mlp_lif")
    model = adapter.build(network, DT, Idiom.PORTABLE)
    stimulus = bernoulli(network, batch=batch)
    together = adapter.run(model, stimulus)
    assert together.output.shape == (40, batch, 10)
    assert together.output.dtype == np.uint8
    assert together.membranes["lif1"].shape == (40, batch, 128)
    alone = [adapter.run(model, stimulus[:, i : i + 1]).output for i in range(batch)]
    assert_same_spikes(np.concatenate(alone, axis=1), together.output)


def test_membranes_are_kept_for_four_samples(adapter: Adapter) -> None:
    network = network_named("mlp_lif")
    recording = adapter.run(adapter.build(network, DT, Idiom.PORTABLE), bernoulli(network, batch=6, steps=5))
    assert recording.membranes["lif1"].shape == (5, 4, 128)
    assert recording.spikes["lif1"].shape == (5, 6, 128)


def test_exporting_leaves_the_model_as_it_was(adapter: Adapter) -> None:
    network = network_named("mlp_lif")
    model = adapter.build(network, DT, Idiom.PORTABLE)
    stimulus = bernoulli(network)
    before = adapter.run(model, stimulus).digest()
    adapter.export(model, np.ones((1, 64), dtype=np.float32), DT)
    assert adapter.run(model, stimulus).digest() == before


@pytest.mark.parametrize("name", ["mlp_lif", "mlp_cuba"])
def test_training_with_one_seed_gives_one_result(adapter: Adapter, digits: Samples, name: str) -> None:
    network = network_named(name)
    results = []
    for _ in range(2):
        model = adapter.build(network, DT, Idiom.PORTABLE)
        settings = TrainingSettings(epochs=2, learning_rate=0.08 if name == "mlp_lif" else 0.002)
        results.append(adapter.train(model, digits, settings))
    assert results[0].keys() == network.parameters().keys()
    for key, learned in results[0].items():
        assert learned.dtype == np.float64
        np.testing.assert_array_equal(learned, results[1][key])
        assert not np.array_equal(learned, network.parameters()[key])
    rebuilt = adapter.build(network.with_parameters(results[0]), DT, Idiom.PORTABLE)
    for trained, again in zip(model.module.parameters(), rebuilt.module.parameters(), strict=True):
        assert torch.equal(trained, again)
    stimulus = digits.inputs[:, :20]
    assert adapter.run(rebuilt, stimulus).digest() == adapter.run(model, stimulus).digest()


@pytest.mark.parametrize("name", ["mlp_lif", "mlp_cuba"])
def test_a_little_training_is_better_than_chance(adapter: Adapter, digits: Samples, name: str) -> None:
    network = network_named(name)
    settings = TrainingSettings(epochs=4, learning_rate=0.12 if name == "mlp_lif" else 0.002)
    learned = adapter.train(adapter.build(network, DT, Idiom.PORTABLE), digits, settings)

    def right(some: Network) -> float:
        output = adapter.run(adapter.build(some, DT, Idiom.PORTABLE), np.float32(digits.inputs)).output
        return accuracy(output, digits.labels, some.readout)

    after = right(network.with_parameters(learned))
    assert wilson_interval(round(after * len(digits.labels)), len(digits.labels))[0] > 0.2  # of ten classes
    assert after > right(network)


@pytest.mark.parametrize("name", ["mlp_lif", "csnn_avgpool", "rlif", "residual"])
def test_training_is_adam_on_spike_counts_through_the_librarys_own_modules(adapter: Adapter, name: str) -> None:
    """The loop written out, with torch's own schedule, gives the same bits."""
    if (adapter.name, name) == ("spikingjelly", "rlif"):
        pytest.skip("SpikingJelly's recurrent container is not trained")
    network, generator = network_named(name), np.random.default_rng(0)
    frames = np.float32(generator.random((5, 20, *network.input_shape)) < 0.3)
    samples, plan = Samples(frames, generator.integers(0, 10, 20)), TrainingSettings(2, 8, learning_rate=0.02, seed=3)
    learned = adapter.train(adapter.build(network, network.dt, Idiom.PORTABLE), samples, plan)

    model = adapter.build(network, network.dt, Idiom.PORTABLE)
    training = adapter.trainable(model, adapter.surrogate, torch.device("cpu"))  # type: ignore[attr-defined]
    groups = [
        {"params": [parameter], "lr": 0.02 * float(np.mean(training.scales[key]))} for key, parameter in training.held.items()
    ]
    optimizer, batches = torch.optim.Adam(groups), [each for epoch in range(2) for each in plan.batches(20, epoch)]
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=len(batches))
    for chosen in batches:
        counts = forward(adapter.name, model.module, torch.from_numpy(frames[:, chosen])).sum(0)
        loss = torch.nn.functional.cross_entropy(counts, torch.from_numpy(samples.labels[chosen]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        decay.step()
    for key, parameter in training.held.items():
        np.testing.assert_array_equal(learned[key], np.float64(parameter.detach().numpy()) / training.scales[key])


def forward(library: str, module: Any, frames: torch.Tensor) -> torch.Tensor:
    """As the library's documentation writes the loop over time."""
    outputs, state = [], None
    for child in module.modules():
        if hasattr(child, "reset_mem"):
            child.reset_mem()
        elif hasattr(child, "reset"):
            child.reset()
    for frame in frames:
        output, state = module(frame, state) if library == "norse" else (module(frame), None)
        outputs.append(output[0] if isinstance(output, tuple) else output)
    return torch.stack(outputs)


def test_a_trained_model_can_be_exported(adapter: Adapter, digits: Samples, tmp_path: Path) -> None:
    network = network_named("mlp_lif")
    model = adapter.build(network, DT, knowing(adapter))
    adapter.train(model, digits, TrainingSettings(epochs=1, learning_rate=0.08))
    returned = sent_through_a_file(adapter, model, network, tmp_path, DT)[1]
    stimulus = digits.inputs[:, :20]
    assert_same_spikes(adapter.run(returned, stimulus).output, adapter.run(model, stimulus).output)


def test_folding_a_gain_into_weights_is_undone_bit_for_bit() -> None:
    network = network_named("rlif")
    ratio = {"lif1": np.linspace(0.01, 3, 30), "lif2": np.full(10, 1 / 3)}
    factors = folded_factors(network, ratio)
    held = folded_parameters(network, factors)
    parameters = {key: torch.nn.Parameter(value) for key, value in held.items()}
    learned = Trainable(parameters, scales(network, factors), lambda: None, torch.relu, torch.relu).learned()
    again = folded_parameters(network.with_parameters(learned), factors)
    assert all(torch.equal(held[key], again[key]) for key in held)
    np.testing.assert_allclose(learned["lif1.feedback.weight"], network.parameters()["lif1.feedback.weight"], rtol=1e-6)


def test_gains_that_differ_within_a_channel_cannot_go_into_a_convolution() -> None:
    network = network_named("conv1d")
    assert isinstance(network.layers[0], Conv)
    with pytest.raises(CannotBuild, match="gains differ per neuron, which 'conv1' cannot take up"):
        folded_factors(network, {"lif1": np.linspace(1, 2, 160).reshape(8, 20)})


def test_a_layer_that_feeds_two_gains_is_not_folded() -> None:
    network = network_named("residual")
    layers = list(network.layers)
    layers[3] = replace(layers[3], inputs=("fc2",), weight=np.eye(10))
    with pytest.raises(CannotBuild, match="layer 'fc2': the layers it feeds have different gains"):
        folded_factors(replace(network, layers=tuple(layers)), {"lif2": np.full(10, 0.5)})


def test_a_resistance_that_must_be_held_is_not_folded(adapter: Adapter) -> None:
    network = network_named("mlp_gain")
    with pytest.raises(CannotBuild, match=r"layer 'lif1': r = 2.5, but the library's neuron has"):
        adapter.build(network, DT, Idiom.PORTABLE)
    stimulus = bernoulli(network, batch=5, steps=100)
    model = adapter.build(replace(network, free_gain=True), DT, Idiom.PORTABLE)
    assert_computes_euler(adapter.run(model, stimulus), network, stimulus, DT, START[adapter.name])


def test_a_file_that_is_no_graph_is_a_failed_read(adapter: Adapter, tmp_path: Path) -> None:
    path = tmp_path / "empty.nir"
    path.write_bytes(b"")
    with pytest.raises(ReadFailed, match=r"empty\.nir"):
        adapter.load(path, DT)


def test_a_recurrent_layer_feeds_its_spikes_back_one_step_later(adapter: Adapter) -> None:
    network = network_named("rlif")
    stimulus = bernoulli(network, steps=60)
    recording = adapter.run(adapter.build(network, DT, Idiom.PORTABLE), stimulus)
    fc1, lif1, *_ = network.layers
    v, spikes = np.zeros((3, 30)), np.zeros((3, 30))
    for step, frame in enumerate(stimulus):
        current = frame @ fc1.weight.T + fc1.bias + spikes @ lif1.feedback.weight.T + lif1.feedback.bias  # type: ignore[attr-defined]
        v = v + DT / 2e-3 * (current - v)
        spikes = (v > 1).astype(float)
        v = np.where(v > 1, 0.0, v)
        np.testing.assert_array_equal(recording.spikes["lif1"][step], spikes)
    assert recording.spikes["lif1"].sum() > 100
