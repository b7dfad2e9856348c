"""Graphs as nir's objects and as files that nir reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from nir_interop.errors import InvalidGraph
from nir_interop.graphs import Graph, Node, digest, from_nir, read, to_nir, validate, with_metadata_of, write
from nir_interop.networks import catalogue
from tests.graphs.sample_graphs import affine, assert_one_clear_line, chain, changed, expressible, lif, node, small


@pytest.mark.parametrize("name", expressible())
def test_nir_reads_what_is_written(name: str, tmp_path: Path) -> None:
    graph = from_nir(catalogue(name).build(0).to_nir())
    write(tmp_path / "graph.nir", graph)
    # nir 1.0.8 infers the type of a grouped convolution without its groups, and refuses it
    found = nir.read(tmp_path / "graph.nir", type_check=name != "conv_grouped")
    assert digest(from_nir(found)) == digest(graph)
    assert nir.serialization.read_version(tmp_path / "graph.nir") == nir.version


@pytest.mark.parametrize("name", expressible())
def test_the_same_graph_gives_the_same_bytes_in_any_order(name: str, tmp_path: Path) -> None:
    graph = from_nir(catalogue(name).build(0).to_nir())
    write(tmp_path / "one.nir", graph)
    write(tmp_path / "two.nir", Graph(dict(reversed(graph.nodes.items())), graph.edges))
    assert (tmp_path / "one.nir").read_bytes() == (tmp_path / "two.nir").read_bytes()


@pytest.mark.parametrize("name", expressible())
def test_a_graph_survives_the_way_through_nir(name: str) -> None:
    graph = from_nir(catalogue(name).build(0).to_nir())
    assert digest(from_nir(to_nir(graph))) == digest(graph)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "input", "output")
)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(1, 4))
    numbers = st.floats(0.5, 4, width=32)
    values = npst.arrays(draw(st.sampled_from(["f4", "f8"])), st.sampled_from([(), (1,), (size,)]), elements=numbers)
    middle: list[tuple[str, Node]] = []
    for name in draw(st.lists(NAMES, max_size=5, unique=True)):
        kind = draw(st.sampled_from(["LIF", "LI", "Linear", "Scale", "Threshold", "Flatten", "Delay"]))
        params: dict[str, dict[str, Any]] = {
            "LIF": {**{key: draw(values) for key in ("tau", "r", "v_leak", "v_threshold")}, "v_reset": 0.0},
            "LI": {key: draw(values) for key in ("tau", "r", "v_leak")},
            "Linear": {"weight": draw(npst.arrays("f4", (size, size), elements=st.floats(-1, 1, width=32)))},
            "Scale": {"scale": draw(values)},
            "Threshold": {"threshold": draw(values)},
            "Flatten": {"start_dim": 0, "end_dim": -1, "input_type": [size]},
            "Delay": {"delay": draw(values)},
        }
        middle.append((name, node(kind, **params[kind])))
    return chain(*middle, inputs=(size,), outputs=(size,))


@given(graphs())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_is_written_is_read_back(tmp_path: Path, graph: Graph) -> None:
    write(tmp_path / "graph.nir", graph)
    found = read(tmp_path / "graph.nir")
    assert digest(found) == digest(graph)
    assert validate(found) == validate(graph)
    assert sorted(found.edges) == sorted(graph.edges)
    for name, one in graph.primitives():
        for key, value in one.params.items():
            np.testing.assert_array_equal(found.nodes[name][key], value)
            assert found.nodes[name][key].dtype == value.dtype


def test_nested_graphs_and_metadata_are_written_too(tmp_path: Path) -> None:
    inner = chain(("lif", lif()), inputs=(3,))
    graph = Graph(changed(small(), lif=inner).nodes, small().edges, {"dt": 1e-4, "author": {"name": "Ada"}})
    write(tmp_path / "graph.nir", graph)
    found = read(tmp_path / "graph.nir")
    assert digest(found) == digest(graph)
    assert found.metadata["dt"] == 1e-4
    assert found.metadata["author"] == {"name": "Ada"}
    assert nir.read(tmp_path / "graph.nir").metadata["dt"] == 1e-4


def test_what_is_said_of_a_node_is_read_written_and_passed_on(tmp_path: Path) -> None:
    said = {"population": "hidden", "training": {"epochs": 3}, "curve": np.arange(3.0), "unknown": None}
    inner = chain(("lif", replace(lif(), metadata=said)), inputs=(3,))
    graph = changed(small(), fc=replace(affine(), metadata=said), lif=inner)
    write(tmp_path / "graph.nir", from_nir(to_nir(graph)))
    for one in (nir.read(tmp_path / "graph.nir").nodes, read(tmp_path / "graph.nir").nodes):
        for found in (one["fc"].metadata, one["lif"].nodes["lif"].metadata):
            assert (found["population"], found["training"]["epochs"]) == ("hidden", 3)
            np.testing.assert_array_equal(found["curve"], np.arange(3.0))
            assert "unknown" not in found
        assert not one["input"].metadata


def test_what_is_rewritten_says_what_it_said_unless_it_says_anew() -> None:
    before = Graph(changed(small(), fc=replace(affine(), metadata={"a": 1}), lif=replace(lif(), metadata={"b": 2})).nodes, ())
    before = replace(before, metadata={"dt": 1e-4})
    after = Graph(changed(small(), fc=affine(seed=1), lif=replace(lif(), metadata={"b": 3})).nodes, (("fc", "lif"),))
    found = with_metadata_of(before, after)
    assert [dict(found.nodes[name].metadata) for name in ("fc", "lif", "input")] == [{"a": 1}, {"b": 3}, {}]
    assert (found.metadata, found.edges) == ({"dt": 1e-4}, after.edges)
    assert not after.nodes["fc"].metadata and digest(found) == digest(after)


@pytest.mark.parametrize("name", ["../up", "a/b", ".", "", "a\0b", "\ud800"])
def test_a_name_that_hdf5_cannot_store_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidGraph) as caught:
        write(tmp_path / "graph.nir", chain((name, lif()), inputs=(3,)))
    assert_one_clear_line(caught.value, "rename")
    assert not (tmp_path / "graph.nir").exists()


def test_tensors_become_arrays_that_share_no_memory() -> None:
    weight = torch.nn.Parameter(torch.ones(3, 2))
    bias = np.zeros(3)
    found = from_nir(nir.NIRGraph({"fc": nir.Affine(weight, bias)}, [], type_check=False)).nodes["fc"]
    with torch.no_grad():
        weight.zero_()
    bias[:] = 7
    assert found["weight"].dtype == np.float32
    np.testing.assert_array_equal(found["weight"], np.ones((3, 2)))
    np.testing.assert_array_equal(found["bias"], np.zeros(3))
    back = to_nir(Graph({"fc": found}, ())).nodes["fc"]
    back.weight[:] = 5
    np.testing.assert_array_equal(found["weight"], np.ones((3, 2)))


def test_a_node_that_the_exporter_left_empty_is_refused_by_name() -> None:
    graph = nir.NIRGraph({"fc": nir.Linear(np.ones((3, 2)))}, [], type_check=False)
    graph.nodes["pool"] = None
    with pytest.raises(InvalidGraph) as caught:
        from_nir(graph)
    assert_one_clear_line(caught.value, "'pool'", "None")


def test_what_is_none_is_left_out() -> None:
    made = nir.Conv1d(None, np.ones((2, 2, 3)), 1, 0, 1, 1, np.zeros(2))
    assert "input_shape" not in from_nir(nir.NIRGraph({"conv": made}, [], type_check=False)).nodes["conv"].params


def test_nir_refusing_a_node_is_told_in_one_line() -> None:
    with pytest.raises(InvalidGraph) as caught:
        to_nir(chain(("lif", lif(tau=np.ones(2)))))
    assert_one_clear_line(caught.value, "'lif'", "same shape")
    with pytest.raises(InvalidGraph) as caught:
        to_nir(chain(("odd", node("Quantum"))))
    assert_one_clear_line(caught.value, "'odd'", "'Quantum'")


def test_large_arrays_are_compressed_and_carry_no_time(tmp_path: Path) -> None:
    write(tmp_path / "graph.nir", chain(("fc", affine(50, 50)), inputs=(50,), outputs=(50,)))
    with h5py.File(tmp_path / "graph.nir") as file:
        weight = file["node/nodes/fc/weight"]
        assert weight.compression == "gzip"
