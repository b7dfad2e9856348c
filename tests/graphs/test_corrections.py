"""Files that mean nothing as they stand, read as they were meant."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from nir_interop.errors import InvalidGraph, UnreadableGraph
from nir_interop.graphs import Graph, Node, corrected, inline, read, read_assumed, read_corrected, validate
from tests.strategies import lif

Edges = tuple[tuple[str, str], ...]


def port(kind: str, *shape: int) -> Node:
    return Node(kind, {"shape": np.array(shape, int)})


def affine(outputs: int, inputs: int, **params: Any) -> Node:
    return Node("Affine", {"weight": np.ones((outputs, inputs)), "bias": np.zeros(outputs), **params})


def neuron(*shape: int) -> Node:
    return lif(shape, tau=1e-2)


def chain(**nodes: Node | Graph) -> Graph:
    names = list(nodes)
    return Graph(nodes, tuple(itertools.pairwise(names)))


def shape_of(graph: Graph, name: str) -> tuple[int, ...]:
    return validate(graph)[name][0]


def test_a_graph_that_means_something_is_read_as_it_stands() -> None:
    batched = chain(input=port("Input", 1, 3), fc=affine(2, 3), lif=neuron(1, 2), output=port("Output", 1, 2))
    assert corrected(batched) == (batched, ())


@pytest.mark.parametrize(
    ("given", "out", "params", "what"),
    [
        ((1, 3), (1, 2), (2,), "first axis is a batch of 1"),
        ((1, 3), (2,), (1, 2), "first axis is a batch of 1"),
        ((8, 3), (8, 2), (2,), "first axis is a batch or time"),
        ((256, 3), (2,), (), "first axis is a batch or time"),
        ((10, 8, 3), (2,), (2,), "first axes are a batch or time"),
    ],
)
def test_an_input_with_a_batch_or_time_is_read_without(
    given: tuple[int, ...], out: tuple[int, ...], params: tuple[int, ...], what: str
) -> None:
    graph, notes = corrected(
        chain(input=port("Input", *given), fc=affine(2, 3), lif=neuron(*params), output=port("Output", *out))
    )
    assert shape_of(graph, "input") == (3,)
    assert shape_of(graph, "output") == (2,)
    (note,) = notes
    assert what in note
    assert note.endswith("read as (3,)")


def flatten(start: int) -> Node:
    return Node("Flatten", {"start_dim": np.array(start), "end_dim": np.array(-1)})


def test_a_flatten_that_counts_a_batch_is_read_without_and_one_that_does_not_is_kept() -> None:
    graph, notes = corrected(chain(input=port("Input", 2, 3), flat=flatten(1), fc=affine(4, 6), output=port("Output", 4)))
    assert shape_of(graph, "fc") == (6,)
    assert notes == ("Flatten 'flat' counts a batch: read with start_dim 0",)
    kept = chain(input=port("Input", 5, 2, 3), flat=flatten(1), fc=affine(4, 6), output=port("Output", 5, 4))
    assert corrected(kept) == (kept, ())


def pool(stride: int) -> Node:
    sizes = {"kernel_size": 2, "stride": stride, "padding": 0}
    return Node("SumPool2d", {name: np.full(2, size) for name, size in sizes.items()})


def test_several_things_at_once_are_read_together() -> None:
    nodes = {"pool": pool(1), "flat": flatten(1), "fc": affine(2, 3 * 4), "lif": neuron(1, 2)}
    graph, notes = corrected(chain(input=port("Input", 1, 3, 4, 4), **nodes, output=port("Output", 1, 2)))
    assert shape_of(graph, "flat") == (3, 2, 2)
    assert len(notes) == 3


def test_what_no_reading_mends_is_told_as_far_as_a_reading_came() -> None:
    wrong = chain(input=port("Input", 1, 3), lif=neuron(3), fc=affine(2, 4), output=port("Output", 1, 2))
    first = r"^Affine 'fc': weight takes 4 .* \(3,\); make them equal"
    said = rf"{first} \(the Input 'input' has shape \(1, 3\), whose first axis is a batch of 1"
    with pytest.raises(InvalidGraph, match=said):
        corrected(wrong)
    plain = chain(input=port("Input", 4), fc=affine(2, 3), output=port("Output", 2))
    with pytest.raises(
        InvalidGraph, match=r"^Affine 'fc': weight takes 3 inputs, what comes in has shape \(4,\); make them equal$"
    ):
        corrected(plain)


def test_a_bias_that_is_false_is_none_and_one_that_is_true_says_nothing() -> None:
    def graph(bias: Any) -> Graph:
        return chain(input=port("Input", 3), fc=affine(2, 3, bias=np.array(bias)), output=port("Output", 2))

    found, notes = corrected(graph(False))
    bias = inline(found).nodes["fc"].params["bias"]  # type: ignore[union-attr]
    assert (bias.tolist(), notes) == ([0.0, 0.0], ("the bias of 'fc' is False: read as none",))
    with pytest.raises(InvalidGraph, match="bias is not made of numbers"):
        corrected(graph(True))


def test_a_subgraph_that_was_written_flat_is_one_again() -> None:
    nodes = {
        "input": port("Input", 3),
        "cell.input": port("Input", 3),
        "cell.lif": neuron(3),
        "cell.w": affine(3, 3),
        "cell.output": port("Output", 3),
        "output": port("Output", 3),
    }
    inner: Edges = (("cell.input", "cell.lif"), ("cell.lif", "cell.w"), ("cell.w", "cell.lif"), ("cell.lif", "cell.output"))
    graph, notes = corrected(Graph(nodes, (("input", "cell"), *inner, ("cell", "output"))))
    assert set(inline(graph).edges) == {
        ("input", "cell.lif"), ("cell.lif", "cell.w"), ("cell.w", "cell.lif"), ("cell.lif", "output"),
    }  # fmt: skip
    assert notes == ("edges name 'cell', nodes begin with 'cell.': read as the subgraph 'cell'",)


def test_edges_to_a_name_that_only_one_node_can_have_are_edges_to_it() -> None:
    def graph(name: str, *edges: tuple[str, str]) -> Graph:
        return Graph({"input": port("Input", 3), name: neuron(3), "output": port("Output", 3)}, edges)

    for name, said in (("lif1.lif", "lif1"), ("lif1", "lif")):
        found, notes = corrected(graph(name, ("input", said), (said, "output")))
        assert found.edges == (("input", name), (name, "output"))
        assert len(notes) == 1
    with pytest.raises(InvalidGraph, match="a node that is not there"):
        corrected(graph("lif", ("input", "lif"), ("lif", "output"), ("other", "output")))


def written(path: Path, change: Any) -> Path:
    ones = np.ones(2)
    lif = nir.LIF(tau=ones, r=ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones)
    ends = {"input": nir.Input({"input": np.array([2])}), "output": nir.Output({"output": np.array([2])})}
    nir.write(path, nir.NIRGraph({**ends, "lif": lif}, [("input", "lif"), ("lif", "output")]))
    with h5py.File(path, "r+") as file:
        change(file)
    return path


@pytest.mark.parametrize("version", ["nir@7883c3c", "0.1.dev241+g6189cac", "v1.0.8", "unknown"])
def test_any_version_of_nir_up_to_1_is_read(tmp_path: Path, version: str) -> None:
    def change(file: h5py.File) -> None:
        del file["version"]
        file["version"] = version

    assert set(read(written(tmp_path / "a.nir", change)).nodes) == {"input", "lif", "output"}


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        (("node/type", "node/edges", "node/nodes/output", "node/nodes/lif/type"), "the graph has no type"),
        (("node/nodes/lif/type",), "node 'lif' has no type"),
        (("node/edges",), "the graph lacks its edges"),
    ],
)
def test_a_file_whose_writing_ended_half_way_is_called_incomplete(tmp_path: Path, missing: tuple[str, ...], says: str) -> None:
    def change(file: h5py.File) -> None:
        for name in missing:
            del file[name]

    with pytest.raises(UnreadableGraph, match=f"{says}: the file is incomplete"):
        read(written(tmp_path / "a.nir", change))


def test_an_input_without_a_shape_is_refused_by_name_however_the_graph_is_read() -> None:
    nodes = {"input": Node("Input", {}), "fc": affine(2, 3), "output": port("Output", 1, 2)}
    with pytest.raises(InvalidGraph, match="input': it has no shape; write one"):
        corrected(chain(**nodes))


def test_what_a_file_leaves_out_is_said_beside_how_it_was_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nir", lambda file: file.__delitem__("node/nodes/lif/v_reset"))
    assert read_corrected(path)[1] == ()
    assert read_assumed(path) == ("v_reset is not in the file at 'lif': read as 0, as nir.read does",)
