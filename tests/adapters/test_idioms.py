"""An adapter repairs nothing: what a library's documentation says is done with the step that is meant, and a trick is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

from nir_interop.backends.adapter import Adapter, load_adapter
from nir_interop.errors import CannotBuild
from nir_interop.networks import Network, catalogue
from nir_interop.vocabulary import Idiom
from tests.adapters.adapter_checks import bernoulli, knowing
from tests.known import CORE

DT = 1e-3

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def network_named(name: str) -> Network:
    return catalogue(name).build(0)


def exported(backend: str, network: Network, idiom: Idiom, dt: float = DT) -> nir.NIRGraph:
    adapter = load_adapter(backend)
    return adapter.export(adapter.build(network, dt, idiom), np.zeros((1, *network.input_shape), np.float32), dt)


def test_each_idiom_that_a_library_has_says_what_it_does(adapter: Adapter) -> None:
    assert {Idiom.TUTORIAL, Idiom.PORTABLE} <= {*adapter.idioms}
    assert len({*adapter.idioms.values()}) == len(adapter.idioms)
    assert all(how and not how.endswith(".") for how in adapter.idioms.values())


def test_a_trick_is_named_and_only_where_there_is_one() -> None:
    tricks = {name: load_adapter(name).idioms.get(Idiom.WORKED_AROUND) for name in CORE}
    assert "dt=1" in (tricks["norse"] or "")
    assert "ignore_dims=[0]" in (tricks["snntorch"] or "")
    assert tricks["spikingjelly"] is None
    assert Idiom.WORKED_AROUND not in load_adapter("reference").idioms
    assert not load_adapter("exact").idioms


@pytest.mark.parametrize("name", ["mlp_lif", "mlp_cuba", "mlp_readout"])
def test_norse_writes_tau_times_the_step_that_is_meant(name: str) -> None:
    network = network_named(name)
    for layer in network.neurons():
        for key, tau in layer.parameters():
            if key.startswith("tau"):
                written = {
                    idiom: np.asarray(getattr(exported("norse", network, idiom).nodes[layer.name], key))
                    for idiom in (Idiom.PORTABLE, Idiom.WORKED_AROUND)
                }
                np.testing.assert_allclose(written[Idiom.PORTABLE], np.asarray(tau) * DT, rtol=1e-6)
                np.testing.assert_allclose(written[Idiom.WORKED_AROUND], tau, rtol=1e-6)


def test_a_norse_user_who_says_the_step_gets_another_network_back(tmp_path: Path) -> None:
    """By hand, without the adapter: the library's cells, its exporter, the file, its importer."""
    import norse.torch as nt
    from norse.torch.functional.lif_box import LIFBoxParameters
    from norse.torch.utils.export_nir import to_nir
    from norse.torch.utils.import_nir import from_nir

    torch.manual_seed(0)
    full = torch.ones(10)
    cell = nt.LIFBoxCell(LIFBoxParameters(tau_mem_inv=100 * full, v_leak=0 * full, v_th=full, v_reset=0 * full), dt=DT)
    dense = torch.nn.Linear(20, 10)
    with torch.no_grad():
        dense.weight.mul_(20)
    x = torch.from_numpy(np.random.default_rng(1).binomial(1, 0.3, (100, 10, 20)).astype(np.float32))

    def spikes(model: Any) -> np.ndarray:
        state, outputs = None, []
        with torch.no_grad():
            for frame in x:
                output, state = model(frame, state)
                outputs.append(output.numpy())
        return np.stack(outputs)

    before = spikes(nt.SequentialState(dense, cell))
    wrong = {}
    for dt in (DT, 1.0):
        nir.write(tmp_path / "graph.nir", to_nir(nt.SequentialState(dense, cell), torch.zeros(20), dt=dt))
        wrong[dt] = int((spikes(from_nir(nir.read(tmp_path / "graph.nir"), dt=DT)) != before).sum())
    assert wrong[1.0] == 0
    assert wrong[DT] > 0.2 * before.size


def test_snntorch_needs_a_batch_where_it_flattens_and_a_trick_to_keep_it_out_of_the_file() -> None:
    network = network_named("csnn_avgpool")
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        exported("snntorch", network, Idiom.PORTABLE, 1e-4)
    graph = exported("snntorch", network, Idiom.WORKED_AROUND, 1e-4)
    assert tuple(graph.nodes["input"].input_type["input"]) == network.input_shape
    with pytest.raises(ValueError, match="type mismatch"):
        exported("snntorch", network_named("mlp_lif"), Idiom.TUTORIAL, 1e-4)


@pytest.mark.parametrize("name", ["mlp_lif", "mlp_cuba", "csnn_avgpool", "rlif"])
def test_what_is_worked_around_is_the_export_alone(adapter: Adapter, name: str) -> None:
    network = network_named(name)
    stimulus = bernoulli(network)
    runs = [adapter.run(adapter.build(network, 1e-4, idiom), stimulus) for idiom in (Idiom.PORTABLE, knowing(adapter))]
    assert runs[0].digest() == runs[1].digest()


def test_a_library_without_words_for_a_network_has_none_in_any_idiom(adapter: Adapter) -> None:
    for idiom in adapter.idioms:
        with pytest.raises(CannotBuild):
            adapter.build(network_named("mlp_gain"), 1e-4, idiom)
