"""Files that read: what nir writes, what older versions wrote, and names that are only text."""

from __future__ import annotations

import os
import time
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from nir_interop.errors import UnreadableGraph
from nir_interop.graphs import digest, from_nir, read, validate, write
from nir_interop.networks import catalogue
from tests.graphs.sample_graphs import expressible, small, small_layout, write_layout

SHARED = Path(os.environ.get("NIR_INTEROP_SHARED") or Path(__file__).parents[3] / "shared")
PAPER = SHARED / "paper"


@pytest.mark.parametrize("name", expressible())
def test_what_nir_writes_is_read_as_it_was(name: str, tmp_path: Path) -> None:
    graph = catalogue(name).build(0).to_nir()
    nir.write(tmp_path / "graph.nir", graph)
    found = read(tmp_path / "graph.nir")
    assert digest(found) == digest(from_nir(graph))
    assert sorted(found.edges) == sorted(graph.edges)
    assert validate(found) == validate(from_nir(graph))


@pytest.mark.skipif(not PAPER.is_dir(), reason="the paper's files are not here (NIR_INTEROP_SHARED)")
@pytest.mark.parametrize("path", sorted(PAPER.rglob("*.nir")), ids=lambda path: path.stem)
def test_the_papers_files_of_nir_0_are_read_and_mean_something(path: Path) -> None:
    graph = read(path)
    shapes = validate(graph)
    assert len(shapes) == len(graph.nodes)
    for _, node in graph.primitives():
        if node.kind in ("IF", "LIF", "CubaLIF"):
            np.testing.assert_array_equal(node["v_reset"], np.zeros_like(node["v_threshold"]))


@pytest.mark.skipif(not PAPER.is_dir(), reason="the paper's files are not here (NIR_INTEROP_SHARED)")
@pytest.mark.parametrize("path", sorted(PAPER.rglob("*.nir")), ids=lambda path: path.stem)
def test_the_papers_files_are_read_as_nir_reads_them(path: Path) -> None:
    assert digest(read(path)) == digest(from_nir(nir.read(path, type_check=False)))


def test_a_missing_reset_means_0_and_a_missing_input_weight_means_1(tmp_path: Path) -> None:
    values = {name: np.full(3, 1e-3) for name in ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold")}
    path = write_layout(tmp_path / "old.nir", small_layout(lif={"type": "CubaLIF", **values}))
    found = read(path).nodes["lif"]
    np.testing.assert_array_equal(found["v_reset"], np.zeros(3))
    assert found["w_in"] == 1.0


def test_a_nested_graph_is_read_as_a_graph(tmp_path: Path) -> None:
    inner = small_layout()["node"]
    path = write_layout(tmp_path / "nested.nir", small_layout(lif=inner))
    found = read(path)
    assert found.nodes["lif"].kind == "NIRGraph"
    assert validate(found)["lif.lif"] == ((3,), (3,))


def test_metadata_are_kept_and_oddities_in_them_are_no_error(tmp_path: Path) -> None:
    layout = small_layout()
    layout["node"]["metadata"] = {"dt": 1e-4, "author": {"name": "Ada"}, "complex": np.array([1j])}
    found = read(write_layout(tmp_path / "metadata.nir", layout))
    assert found.metadata["dt"] == 1e-4
    assert found.metadata["author"] == {"name": "Ada"}
    assert "complex" not in found.metadata


@pytest.mark.parametrize("fixed", [False, True], ids=["variable", "fixed"])
def test_text_of_variable_and_of_fixed_length_is_read(fixed: bool, tmp_path: Path) -> None:
    layout = small_layout()
    if fixed:
        layout["version"] = np.bytes_("0.2.0")
        layout["node"]["edges"] = np.array(layout["node"]["edges"], dtype="S")
        layout["node"]["type"] = np.bytes_("NIRGraph")
    found = read(write_layout(tmp_path / "text.nir", layout))
    assert found.edges == (("input", "lif"), ("lif", "output"))


def test_an_edge_that_appears_twice_counts_once(tmp_path: Path) -> None:
    layout = small_layout()
    layout["node"]["edges"] = layout["node"]["edges"] * 2
    assert len(read(write_layout(tmp_path / "twice.nir", layout)).edges) == 2


@pytest.mark.parametrize(
    "name", ["..", "'quoted\"", "<script>alert(1)", "=cmd()", "ü" * 100, "x" * 10_000, "line\nbreak", "if", "0"]
)
def test_any_text_is_a_legal_name(name: str, tmp_path: Path) -> None:
    layout = small_layout()
    layout["node"]["nodes"][name] = layout["node"]["nodes"].pop("lif")
    layout["node"]["edges"] = [("input", name), (name, "output")]
    found = read(write_layout(tmp_path / "name.nir", layout))
    assert name in found.nodes
    assert validate(found)[name] == ((3,), (3,))
    write(tmp_path / "again.nir", found)
    assert digest(read(tmp_path / "again.nir")) == digest(found)


def test_a_usual_file_is_read_in_less_than_ten_milliseconds(tmp_path: Path) -> None:
    write(tmp_path / "small.nir", small())
    read(tmp_path / "small.nir")
    times = []
    for _ in range(20):
        start = time.process_time()
        read(tmp_path / "small.nir")
        times.append(time.process_time() - start)
    assert min(times) < 0.010


def test_reading_leaves_the_file_closed_after_an_error(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "bad.nir", small_layout(lif={"type": "Quantum"}))
    with pytest.raises(UnreadableGraph):
        read(path)
    with h5py.File(path, "r+") as file:
        file["node/nodes/lif/type"][()] = "LIF"


def test_a_file_behind_a_user_block_is_read(tmp_path: Path) -> None:
    write(tmp_path / "plain.nir", small())
    with h5py.File(tmp_path / "plain.nir", "r") as plain, h5py.File(tmp_path / "block.nir", "w", userblock_size=512) as file:
        for name in plain:
            plain.copy(name, file)
    assert digest(read(tmp_path / "block.nir")) == digest(small())


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_every_layout_of_hdf5_is_read(libver: str, tmp_path: Path) -> None:
    write(tmp_path / "plain.nir", small())
    with h5py.File(tmp_path / "plain.nir", "r") as plain, h5py.File(tmp_path / "new.nir", "w", libver=libver) as file:
        for name in plain:
            plain.copy(name, file)
    assert digest(read(tmp_path / "new.nir")) == digest(small())


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i4"])
def test_numbers_in_another_byte_order_are_read_as_the_same_numbers(dtype: str, tmp_path: Path) -> None:
    given = np.arange(6).reshape(3, 2)
    write(tmp_path / "g.nir", small())
    with h5py.File(tmp_path / "g.nir", "r+") as file:
        del file["node/nodes/fc/weight"]
        file["node/nodes/fc/weight"] = given.astype(dtype)
    weight = read(tmp_path / "g.nir").nodes["fc"]["weight"]
    assert weight.dtype.isnative
    assert np.array_equal(weight, given)
