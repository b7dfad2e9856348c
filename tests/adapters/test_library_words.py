"""What each library has words for, what its importer holds, and how it says no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from nir_interop.backends.adapter import Adapter, load_adapter
from nir_interop.errors import CannotBuild
from nir_interop.networks import Network, catalogue
from nir_interop.vocabulary import Idiom
from tests.adapters.adapter_checks import bernoulli, sent_through_a_file

DT = 1e-4

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def network_named(name: str) -> Network:
    return catalogue(name).build(0)


@pytest.mark.parametrize(
    ("backend", "name", "reason"),
    [
        ("snntorch", "mlp_leak", "v_leak is not"),
        ("snntorch", "mlp_rest", "v_leak is not"),
        ("snntorch", "csnn_sumpool", "no module for sum pooling"),
        ("spikingjelly", "csnn_sumpool", "no module for sum pooling"),
        ("spikingjelly", "mlp_leak", "rests at v_reset; v_leak is 0.1"),
        ("spikingjelly", "mlp_lif_mixed", "one tau a layer"),
        ("spikingjelly", "mlp_readout", "run on whole sequences, not step by step"),
    ],
)
def test_what_a_library_has_no_words_for_is_named(backend: str, name: str, reason: str) -> None:
    with pytest.raises(CannotBuild, match=reason):
        load_adapter(backend).build(network_named(name), DT, Idiom.PORTABLE)


@pytest.mark.parametrize("backend", ["snntorch", "spikingjelly"])
def test_a_time_constant_below_the_step_is_named(backend: str) -> None:
    with pytest.raises(CannotBuild, match=r"layer 'lif1': .* dt = 0.001"):
        load_adapter(backend).build(network_named("csnn_avgpool"), 1e-3, Idiom.PORTABLE)


@pytest.mark.parametrize(
    ("backend", "message", "declines"),
    [
        ("snntorch", "v_leak not supported", True),
        ("snntorch", "'GraphModule' object has no attribute 'items'", False),
        ("spikingjelly", "nir.LIF.r must equal 1 or tau / dt.", True),
        ("spikingjelly", "nir.LIF.tau / dt must be finite and greater than 1.", True),
        ("spikingjelly", "Proxy object cannot be iterated.", False),
        ("norse", "Unknown node type <class 'nir.ir.neuron.LI'>, mapping does not exist in node_map", True),
        ("norse", "'_1'", False),
    ],
)
def test_a_refusal_is_told_from_an_accident(backend: str, message: str, declines: bool) -> None:
    assert load_adapter(backend).refuses(message) is declines


def imported(backend: str, name: str, folder: Path) -> tuple[Adapter, Any]:
    adapter, network = load_adapter(backend), network_named(name)
    model = adapter.build(network, DT, Idiom.PORTABLE)
    return adapter, sent_through_a_file(adapter, model, network, folder, DT)[1]


def test_a_node_that_norse_drops_is_not_among_its_nodes(tmp_path: Path) -> None:
    adapter, model = imported("norse", "mlp_readout", tmp_path)
    assert adapter.nodes(model) == {"fc1", "lif1", "fc2"}


def test_nodes_of_a_recurrence_bear_the_names_of_the_file(tmp_path: Path) -> None:
    snntorch, network = load_adapter("snntorch"), network_named("rlif")
    model = snntorch.build(network, DT, Idiom.PORTABLE)
    sent_graph = snntorch.export(model, np.zeros((1, 20), dtype=np.float32), DT)
    nir.write(tmp_path / "rlif.nir", sent_graph)
    for backend in ("norse", "spikingjelly"):
        adapter = load_adapter(backend)
        target = adapter.load(tmp_path / "rlif.nir", DT)
        assert adapter.nodes(target) == {"fc1", "lif1.lif", "lif1.w_rec", "fc2", "lif2"}
        assert set(adapter.run(target, bernoulli(network, steps=3)).spikes) == {"lif1.lif", "lif2"}


def test_nodes_of_a_nested_graph_bear_both_names(tmp_path: Path) -> None:
    inner = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([2])}),
            "l.if": nir.LIF(
                tau=np.full(2, 2e-3), r=np.ones(2), v_leak=np.zeros(2), v_threshold=np.ones(2), v_reset=np.zeros(2)
            ),
            "output": nir.Output({"output": np.array([2])}),
        },
        [("input", "l.if"), ("l.if", "output")],
    )
    outer = nir.NIRGraph(
        {
            "input": nir.Input({"input": np.array([2])}),
            "a": nir.Linear(np.full((2, 2), 30.0, dtype=np.float32)),
            "b": inner,
            "output": nir.Output({"output": np.array([2])}),
        },
        [("input", "a"), ("a", "b"), ("b", "output")],
    )
    nir.write(tmp_path / "nested.nir", outer)
    for backend in ("norse", "spikingjelly"):
        adapter = load_adapter(backend)
        model = adapter.load(tmp_path / "nested.nir", DT)
        assert adapter.nodes(model) == {"a", "b.l.if"}
        assert set(adapter.run(model, np.ones((3, 1, 2), dtype=np.uint8)).spikes) == {"b.l.if"}


def test_a_readout_of_snntorch_is_its_last_membrane(tmp_path: Path) -> None:
    network = network_named("mlp_readout")
    stimulus = bernoulli(network)
    outputs = []
    for backend in ("snntorch", "norse"):
        adapter = load_adapter(backend)
        recording = adapter.run(adapter.build(network, DT, Idiom.PORTABLE), stimulus)
        assert recording.output.dtype == np.float32
        assert set(recording.spikes) == {"lif1"}
        np.testing.assert_array_equal(recording.output, recording.membranes["lif2"])
        outputs.append(recording.output)
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-5)
