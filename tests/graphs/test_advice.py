"""What stays refused says what to do, and doing just that helps."""

from __future__ import annotations

import itertools
import zipfile
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from nir_interop.errors import InvalidGraph, UnreadableGraph
from nir_interop.graphs import Graph, Node, corrected, read
from tests.graphs.sample_graphs import affine, chain, changed
from tests.strategies import lif, node


def neurons(**params: Any) -> nir.LIF:
    names = ("tau", "r", "v_leak", "v_threshold")
    return nir.LIF(**{name: np.full(3, 0.5) for name in names} | {"v_reset": np.zeros(3)} | params)


def half_written(path: Path, *middle: nir.NIRNode) -> nir.NIRGraph:
    """A file in which nir.write ended with an error."""
    ends = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    nodes = {"input": ends["input"], **{f"n{number}": each for number, each in enumerate(middle)}, "output": ends["output"]}
    names = list(nodes)
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(names)), type_check=False)
    with pytest.raises(TypeError):
        nir.write(path, graph)
    return graph


def test_a_file_that_nir_write_left_at_a_number_without_axes_is_written_without_compression(tmp_path: Path) -> None:
    one = nir.LIF(*(np.array(value) for value in (0.01, 1.0, 0.0, 0.5, 0.0)))
    graph = half_written(tmp_path / "a.nir", one)
    said = r"incomplete: its writing ended half-way at node 'n0'.*write with nir\.write\(path, graph, compression=None\)"
    with pytest.raises(UnreadableGraph, match=said) as caught:
        read(tmp_path / "a.nir")
    assert "HDF5 splits names" not in str(caught.value)
    nir.write(tmp_path / "b.nir", graph, compression=None)
    assert corrected(read(tmp_path / "b.nir"))[1] == ()


def test_a_file_that_nir_write_left_at_a_none_is_written_with_an_array(tmp_path: Path) -> None:
    dense = nir.Affine(np.ones((3, 3), np.float32), None)
    half_written(tmp_path / "a.nir", dense, neurons())
    with pytest.raises(UnreadableGraph, match=r"at node 'n0'.*where one is None, give it an array"):
        read(tmp_path / "a.nir")
    dense.bias = np.zeros(3)
    names = ("input", "n0", "n1", "output")
    nodes = dict(zip(names, (nir.Input(np.array([3])), dense, neurons(), nir.Output(np.array([3]))), strict=True))
    nir.write(tmp_path / "b.nir", nir.NIRGraph(nodes, list(itertools.pairwise(names))))
    assert corrected(read(tmp_path / "b.nir"))[1] == ()


@pytest.mark.parametrize(
    ("begin", "says"),
    [
        (b"\x80\x02}q\x00.", "a Python pickle and no NIR"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\n<!DOCTYPE html>\n<html></html>", "a web page"),
    ],
)
def test_what_is_no_hdf5_is_called_what_it_is(begin: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.nir").write_bytes(begin)
    with pytest.raises(UnreadableGraph, match=says):
        read(tmp_path / "a.nir")


def test_an_archive_of_torch_is_called_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.nir", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    with pytest.raises(UnreadableGraph, match=r"zip archive, as torch\.save writes it, and no NIR: load it with torch\.load"):
        read(tmp_path / "a.nir")


def small(**nodes: Node) -> Graph:
    return changed(chain(("fc", affine()), ("lif", lif())), **nodes)


def image(*middle: tuple[str, Node]) -> Graph:
    return chain(*middle, ("fc", affine(3, 128)), inputs=(8, 16), outputs=(3,))


ADVICE = {
    "a negative time constant": (
        small(lif=lif(tau=np.array([1e-3, -1e-3, 1e-3]))),
        r"tau is negative at \(1,\); a time constant is more than 0 seconds",
        small(lif=lif(tau=1e-3)),
    ),
    "an edge to nothing": (
        changed(small(), edges=[*small().edges, ("lif", "ghost")]),
        "from 'lif' to 'ghost', where 'ghost' names, a node that is not there; take it away",
        small(),
    ),
    "a reset at the threshold": (
        small(lif=lif(v_reset=1.0)),
        r"v_reset is not below v_threshold at \(0,\): it would spike without end; lower v_reset",
        small(lif=lif(v_reset=0.5)),
    ),
    "rows for an Affine": (
        image(),
        "weight takes 128 inputs, what comes in has shape .8, 16.; put a Flatten with start_dim 0 and end_dim -1 before it",
        image(("flat", node("Flatten", start_dim=0, end_dim=-1))),
    ),
    "inputs of another number": (
        chain(("fc", affine(3, 4)), inputs=(5,)),
        r"weight takes 4 inputs, what comes in has shape \(5,\); make them equal",
        chain(("fc", affine(3, 5)), inputs=(5,)),
    ),
    "no neurons to read a shape from": (
        chain(("n", node("Conv2d")), inputs=(3,)),
        "it has no weight; write one",
        chain(("fc", affine(3, 3)), inputs=(3,)),
    ),
}
"""What is wrong → the graph, what is said of it, and the graph once that is done."""


@pytest.mark.parametrize("what", ADVICE)
def test_the_advice_helps(what: str) -> None:
    wrong, said, right = ADVICE[what]
    with pytest.raises(InvalidGraph, match=said):
        corrected(wrong)
    assert corrected(right)[1] == ()
