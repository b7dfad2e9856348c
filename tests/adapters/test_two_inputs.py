"""What the libraries' own importers do with two Inputs, called by hand: none runs such a graph, and each says so as it does."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path

import nir
import numpy as np
import pytest
import torch

import nir_interop as ni
from nir_interop.backends.adapter import load_adapter
from nir_interop.errors import NoAnswer
from nir_interop.vocabulary import Cause, Status
from tests.known import STORE, installed
from tests.several_ends import DT, inputs, two_ends

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """Two Inputs and one Output: several Outputs fail by themselves."""
    read = nir.read(two_ends(tmp_path / "two.nir"))
    gain = read.nodes["lif"]
    gain.r = gain.tau / DT  # SpikingJelly takes no other
    nodes = {name: node for name, node in read.nodes.items() if name not in ("read", "early")}
    nir.write(tmp_path / "one.nir", nir.NIRGraph(nodes, [edge for edge in read.edges if edge[1] in nodes and edge[0] in nodes]))
    return tmp_path / "one.nir"


@pytest.mark.parametrize(
    ("library", "module", "options"),
    [("snntorch", "snntorch.import_nir", {}), ("spikingjelly", "spikingjelly.activation_based.nir_exchange", {"dt": DT})],
)
def test_nirtorch_s_interpreter_fails_at_the_second_input(
    library: str, module: str, options: dict[str, float], graph: Path
) -> None:
    installed(library)
    with pytest.raises(RuntimeError, match="Node redefined name is_none!"):
        importlib.import_module(module).import_from_nir(nir.read(graph), **options)


def test_norse_says_that_it_takes_one_of_them_and_its_model_is_called_with_one(
    graph: Path, caplog: pytest.LogCaptureFixture
) -> None:
    installed("norse")
    from norse.torch.utils.import_nir import from_nir

    with caplog.at_level(logging.WARNING):
        model = from_nir(nir.read(graph), dt=DT)
    assert "Multiple input nodes found. Using the first node as the input." in caplog.text
    ran = []
    for size in (2, 3):  # whichever it took
        try:
            ran.append(model(torch.ones(1, size))[0].shape)
        except RuntimeError:
            continue
    assert len(ran) == 1
    adapter = load_adapter("norse")
    with pytest.raises(NoAnswer, match="the model takes one input, and the graph has 2 Inputs: b, z"):
        adapter.run(adapter.load(graph, DT), np.zeros((4, 1, 5), np.float32))


WITH_ONE = "; with one in the place of the 2 Inputs it is run"


@pytest.mark.parametrize(
    ("library", "status", "said"),
    [
        ("norse", Status.RUN_ERROR, f"NoAnswer: the model takes one input, and the graph has 2 Inputs: b, z{WITH_ONE}"),
        ("snntorch", Status.IMPORT_ERROR, f"RuntimeError: Node redefined name is_none!{WITH_ONE}"),
        ("spikingjelly", Status.IMPORT_ERROR, f"RuntimeError: Node redefined name is_none!{WITH_ONE}"),
    ],
)
def test_check_shows_what_the_library_says(library: str, status: Status, said: str, graph: Path) -> None:
    installed(library)
    found = ni.check(graph, input=inputs(0.2), dt=DT, backends=[library])
    assert (found[library].status, found[library].error) == (status, said)
    assert found.meant.outputs["late"].any()


def test_explain_names_the_inputs_and_the_rewriting_that_the_library_runs(graph: Path) -> None:
    installed("snntorch")
    why = ni.explain(graph, input=inputs(0.2), dt=DT, backend="snntorch", store=STORE)
    assert [each.nodes for each in why.causes if each.cause is Cause.UNSUPPORTED] == [("b", "z")]
    assert "rewritten (one_input" in why.text
