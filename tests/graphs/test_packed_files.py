"""Files whose arrays and texts are in chunks and packed, as h5repack writes them, hold the graph that they held before."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from nir_interop.errors import UnreadableGraph
from nir_interop.graphs import Graph, digest, read, write
from tests.strategies import lif, node, port

PACKED: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": True},
    "gzip": {"chunks": True, "compression": "gzip", "compression_opts": 9},
    "gzip, shuffled": {"chunks": True, "compression": "gzip", "shuffle": True},
    "with a checksum": {"chunks": True, "compression": "gzip", "shuffle": True, "fletcher32": True},
    "small chunks": {"chunks": "small", "compression": "gzip", "shuffle": True},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    layers = [f"layer {number} with a long name" for number in range(7)]
    nodes = {
        "input": port("Input", 6),
        **{name: lif(6) for name in layers},
        "w": node("Affine", weight=np.eye(6), bias=np.ones(6)),
    }
    nodes["output"] = port("Output", 6)
    path = tmp_path / "graph.nir"
    write(path, Graph(nodes, tuple(pairwise(nodes))))
    return path


def repacked(path: Path, options: dict[str, Any]) -> Path:
    """The same file with every array that can be in chunks in chunks."""
    new = path.with_name("packed.nir")
    with h5py.File(path) as old, h5py.File(new, "w") as made:

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                made.require_group(name)
                return
            chosen = dict(options) if item.shape else {}
            if chosen.get("chunks") == "small":
                chosen["chunks"] = tuple(min(2 if place else 3, size) for place, size in enumerate(item.shape))
            if item.dtype.kind == "O" and chosen.get("fletcher32"):
                chosen.pop("fletcher32")  # HDF5 has no checksum over texts of variable length
            made.create_dataset(name, data=item[()], dtype=item.dtype, **chosen)

        old.visititems(copy)
    return new


@pytest.mark.parametrize("name", PACKED)
def test_a_packed_file_is_the_same_graph(name: str, file: Path) -> None:
    packed = repacked(file, PACKED[name])
    with h5py.File(packed) as opened:
        assert opened["node/edges"].chunks is not None
    assert digest(read(packed)) == digest(read(file))
    assert read(packed).edges == read(file).edges
    assert set(read(packed).edges) == {tuple(map(str, edge)) for edge in nir.read(packed).edges}


def test_edges_of_a_fixed_length_are_read(file: Path) -> None:
    edges = read(file).edges
    with h5py.File(file, "r+") as opened:
        del opened["node/edges"]
        opened["node"].create_dataset("edges", data=np.array(edges, dtype="S40"), chunks=True, compression="gzip")
    assert read(file).edges == edges


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_damaged_chunk_of_text_is_said_to_be_damaged(place: float, file: Path) -> None:
    packed = repacked(file, PACKED["gzip"])
    with h5py.File(packed) as opened:
        stored = opened["node/edges"].id.get_chunk_info(0)
    data = bytearray(packed.read_bytes())
    at = stored.byte_offset + int(place * stored.size)
    data[at : at + 6] = b"\xff" * 6
    packed.write_bytes(bytes(data))
    with pytest.raises(UnreadableGraph, match="damaged"):
        read(packed)


def test_text_that_was_never_written_is_no_edge(file: Path) -> None:
    """Only some of the chunks are there: what is not there is empty, and no name of a node."""
    with h5py.File(file, "r+") as opened:
        del opened["node/edges"]
        made = opened["node"].create_dataset("edges", shape=(6, 2), dtype=h5py.string_dtype(), chunks=(2, 2))
        made[0] = ["input", "w"]
    assert ("input", "w") in read(file).edges
    assert set(read(file).edges) <= {("input", "w"), ("", "")}


def test_an_array_put_together_from_others_of_the_file_is_read(file: Path) -> None:
    meant = digest(read(file))
    with h5py.File(file, "r+") as opened:
        weight = opened["node/nodes/w/weight"][()]
        del opened["node/nodes/w/weight"]
        layout = h5py.VirtualLayout(shape=weight.shape, dtype=weight.dtype)
        for number, row in enumerate(weight):
            part = opened.create_dataset(f"rows/{number}", data=row)
            layout[number] = h5py.VirtualSource(".", part.name, shape=row.shape)
        opened.create_virtual_dataset("node/nodes/w/weight", layout)
    assert np.array_equal(nir.read(file).nodes["w"].weight, weight)
    assert digest(read(file)) == meant


@pytest.mark.parametrize("source", ["another file", "a virtual array", "nothing"])
def test_an_array_put_together_from_elsewhere_is_not_followed(source: str, file: Path) -> None:
    with h5py.File(file.with_name("other.h5"), "w") as other:
        other["rows"] = np.ones((6, 6))
    with h5py.File(file, "r+") as opened:
        del opened["node/nodes/w/weight"]
        layout = h5py.VirtualLayout(shape=(6, 6), dtype=float)
        from_file = {"another file": "other.h5"}.get(source, ".")
        name = {"another file": "rows", "a virtual array": "node/nodes/w/weight", "nothing": "nowhere"}[source]
        layout[:] = h5py.VirtualSource(from_file, name, shape=(6, 6))
        opened.create_virtual_dataset("node/nodes/w/weight", layout)
    with pytest.raises(UnreadableGraph, match="outside the file"):
        read(file)
