"""Files that nobody vouches for: each gives one clear line, and none makes the harness read or allocate what it should not."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nir_interop.errors import UnreadableGraph
from nir_interop.graphs import read, write
from nir_interop.memory import allowed
from tests.graphs.sample_graphs import assert_one_clear_line, chain, small, small_layout, write_layout


def assert_unreadable(path: Path, *mentions: str) -> None:
    with pytest.raises(UnreadableGraph) as caught:
        read(path)
    assert_one_clear_line(caught.value, *mentions)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert_unreadable(tmp_path / "absent.nir", "absent.nir", "No such file")


def test_a_path_that_no_file_can_have_is_refused() -> None:
    assert_unreadable(Path("a\0b"), "not a path")
    assert_unreadable(Path("x" * 5000), "too long")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert_unreadable(tmp_path, "directory")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nir")
    assert_unreadable(tmp_path / "pipe.nir", "no regular file")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.nir").touch()
    assert_unreadable(tmp_path / "empty.nir", "empty")


def test_what_is_not_hdf5_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.nir").write_text("a network, in words\n" * 100)
    assert_unreadable(tmp_path / "text.nir", "not HDF5")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(share: float, tmp_path: Path) -> None:
    write(tmp_path / "whole.nir", small())
    data = (tmp_path / "whole.nir").read_bytes()
    (tmp_path / "cut.nir").write_bytes(data[: int(share * len(data))])
    assert_unreadable(tmp_path / "cut.nir", "cut.nir", "truncated|damaged")


def test_a_file_with_damaged_bytes_is_refused_or_read_and_never_anything_else(tmp_path: Path) -> None:
    write(tmp_path / "whole.nir", small())
    data = np.frombuffer((tmp_path / "whole.nir").read_bytes(), np.uint8)
    generator = np.random.default_rng(0)
    refusals = 0
    for number in range(60):
        broken = data.copy()
        broken[generator.integers(8, len(data), 20)] = generator.integers(0, 256, 20)
        path = tmp_path / f"broken_{number}.nir"
        path.write_bytes(broken.tobytes())
        try:
            read(path)
        except UnreadableGraph as error:
            assert_one_clear_line(error)
            refusals += 1
    assert refusals > 5


@pytest.mark.parametrize(
    ("layout", "mention"),
    [
        ({}, "'node'"),
        ({"weights": np.zeros(3)}, "not NIR"),
        ({"version": "1.0.8"}, "'node'"),
        ({"node": {"type": "NIRGraph"}}, "lacks its nodes"),
        ({"nodes": {}}, "nir.write_data"),
        ({"nodes": {}, "edges": np.zeros((1, 3), int)}, "edges are not pairs"),
        ({"version": "1.0.8", "node": 3}, "'node' is no group"),
        ({"version": {}, "node": {}}, "'version' is a group"),
        ({"version": "1.0.8", "node": {}}, "has no type"),
        ({"version": "1.0.8", "node": {"type": "NIRGraph"}}, "lacks its nodes"),
        ({"version": "1.0.8", "node": {"type": "NIRGraph", "nodes": {}}}, "lacks its edges"),
        ({"version": "1.0.8", "node": {"type": "LIF"}}, "single 'LIF'"),
        ({"version": "7.0", "node": {"type": "NIRGraph"}}, "'7.0'"),
        ({"version": 108, "node": {"type": "NIRGraph"}}, "'version' is not a text"),
    ],
)
def test_hdf5_that_is_not_nir_is_refused(layout: dict[str, Any], mention: str, tmp_path: Path) -> None:
    assert_unreadable(write_layout(tmp_path / "other.nir", layout), mention)


@pytest.mark.parametrize(
    ("members", "mention"),
    [
        ({"type": "Quantum"}, "'Quantum'"),
        ({"type": "Quantum\n" * 200}, "Quantum"),
        ({"type": 3}, "'type' is not a text"),
        ({}, "has no type"),
        ({"type": "LIF", "tau": {"value": 3}}, "'tau' is a group"),
        ({"type": "LIF", "tau": np.array([1j])}, "'tau' holds 'complex128'"),
        ({"type": "LIF", "tau": np.array(["a", "b"], dtype="S1")}, "'tau' is not a text"),
        ({"type": "LIF", "tau": h5py.Empty("f4")}, "null dataspace"),
        ({"type": "LIF", "tau": np.zeros(2, dtype=[("a", "f4"), ("b", "f4")])}, "'tau' holds"),
        (np.zeros(3), "is an array"),
    ],
)
def test_a_node_that_is_none_is_refused_by_name(members: Any, mention: str, tmp_path: Path) -> None:
    assert_unreadable(write_layout(tmp_path / "node.nir", small_layout(odd=members)), "'odd'", mention)


def test_a_name_with_a_slash_is_refused_because_hdf5_splits_it(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "slash.nir", small_layout(**{"../up": {"type": "LIF"}}))
    assert_unreadable(path, r"'\.\.'", "HDF5 splits names at '/'")


@pytest.mark.parametrize("edges", [np.zeros((2, 2)), np.array([[b"a", b"b", b"c"]], dtype="S1"), np.array([b"a"], dtype="S1")])
def test_edges_that_are_not_pairs_of_names_are_refused(edges: Any, tmp_path: Path) -> None:
    layout = small_layout()
    layout["node"]["edges"] = edges
    assert_unreadable(write_layout(tmp_path / "edges.nir", layout), "edges are not pairs")


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "latin.nir", small_layout())
    with h5py.File(path, "r+") as file:
        h5py.h5g.create(file["node/nodes"].id, b"caf\xe9")
    assert_unreadable(path, r"caf\\\\xe9", "not UTF-8")


def test_an_edge_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    layout = small_layout()
    layout["node"]["edges"] = np.array([[b"input", b"caf\xe9"]], dtype="S8")
    assert_unreadable(write_layout(tmp_path / "latin.nir", layout), r"caf\\\\xe9", "not UTF-8")


def test_a_long_name_of_control_characters_is_shortened_and_escaped(tmp_path: Path) -> None:
    name = "\x1b[31m\r\n\u202e" * 2000
    assert_unreadable(write_layout(tmp_path / "long.nir", small_layout(**{name: {"type": "Quantum"}})), r"\\x1b\[31m", "…")


@pytest.mark.parametrize(
    "place", ["extra", "version", "node", "node/nodes", "node/edges", "node/nodes/lif", "node/nodes/lif/tau"]
)
@pytest.mark.parametrize(
    ("link", "mention"),
    [
        (h5py.ExternalLink("secret.h5", "/data"), "external link"),
        (h5py.SoftLink("/elsewhere"), "soft link"),
        (h5py.SoftLink("."), "soft link"),
    ],
    ids=["external", "soft", "loop"],
)
def test_links_are_not_followed(place: str, link: Any, mention: str, tmp_path: Path) -> None:
    write_layout(tmp_path / "secret.h5", {"data": np.zeros(3)})
    path = write_layout(tmp_path / "link.nir", small_layout())
    with h5py.File(path, "r+") as file:
        if place in file:
            del file[place]
        file[place] = link
    assert_unreadable(path, mention, f"'{place.rsplit('/', 1)[-1]}'")


def test_storage_outside_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(b"\x00" * 24)
    path = write_layout(tmp_path / "external.nir", small_layout())
    with h5py.File(path, "r+") as file:
        del file["node/nodes/lif/tau"]
        file.create_dataset("node/nodes/lif/tau", (3,), "f8", external=[(str(tmp_path / "secret.bin"), 0, 24)])
    assert_unreadable(path, "'lif'/'tau'", "outside the file")


def test_a_virtual_array_is_not_followed(tmp_path: Path) -> None:
    write_layout(tmp_path / "secret.h5", {"data": np.zeros(3)})
    path = write_layout(tmp_path / "virtual.nir", small_layout())
    with h5py.File(path, "r+") as file:
        del file["node/nodes/lif/tau"]
        virtual = h5py.VirtualLayout((3,), "f8")
        virtual[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "data", (3,))
        file.create_virtual_dataset("node/nodes/lif/tau", virtual)
    assert_unreadable(path, "'lif'/'tau'", "outside the file")


def declare(path: Path, place: str, shape: tuple[int, ...], **options: Any) -> None:
    with h5py.File(path, "r+") as file:
        if place in file:
            del file[place]
        file.create_dataset(place, shape, **{"dtype": "f4", "chunks": True, **options})


@pytest.mark.parametrize(
    ("place", "options"),
    [
        ("node/nodes/lif/tau", {}),
        ("node/nodes/lif/type", {"dtype": h5py.string_dtype()}),
        ("node/edges", {"dtype": h5py.string_dtype()}),
        ("node/metadata/dt", {}),
        ("version", {"dtype": h5py.string_dtype()}),
    ],
)
def test_a_declared_array_of_a_million_million_elements_is_refused_and_not_allocated(
    place: str, options: Any, tmp_path: Path
) -> None:
    path = write_layout(tmp_path / "huge.nir", small_layout())
    declare(path, place, (10**6, 10**6), **options)
    tracemalloc.start()
    try:
        assert_unreadable(path, f"'{place.rsplit('/', 1)[-1]}'", "declares|declare")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_arrays_that_are_too_large_only_together_are_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "many.nir", small_layout())
    for name in ("tau", "r", "v_leak"):
        declare(path, f"node/nodes/lif/{name}", (2**26 + 2**25,))
        with h5py.File(path, "r+") as file:
            file[f"node/nodes/lif/{name}"][0] = 1
    with allowed(1):
        assert_unreadable(
            path, r"its arrays declare 1.1 GiB, 'nodes'/'lif'/'r' the most of them, more than 1 GiB; --memory-limit 1.\d"
        )


def test_an_array_cut_into_millions_of_chunks_is_refused_and_not_looked_for(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "cut.nir", small_layout())
    declare(path, "node/nodes/lif/tau", (2**22,), chunks=(8,))
    with h5py.File(path, "r+") as file:
        file["node/nodes/lif/tau"][0] = 1
    assert_unreadable(path, "'lif'/'tau'", r"cut into 524,\d+ chunks")


def test_one_element_of_a_gigantic_type_is_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "wide.nir", small_layout())
    declare(path, "node/nodes/lif/tau", (1,), dtype="S2000000000", chunks=None)
    with allowed(1):
        assert_unreadable(path, "declare 1.9 GiB", "'tau' the most")


def test_a_gigantic_chunk_of_a_small_array_is_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "chunk.nir", small_layout())
    declare(path, "node/nodes/lif/tau", (3,), maxshape=(None,), chunks=(2**29,), dtype="i1")
    assert_unreadable(path, "'lif'/'tau'")


def test_an_array_that_was_declared_and_never_written_is_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "unwritten.nir", small_layout())
    declare(path, "node/nodes/lif/tau", (3,))
    assert_unreadable(path, "'lif'/'tau'", "never written")


def test_one_text_shared_by_many_edges_does_not_fill_the_memory(tmp_path: Path) -> None:
    layout = small_layout()
    layout["node"]["edges"] = [("x" * 2_000_000, "y" * 2_000_000)] * 20
    assert_unreadable(write_layout(tmp_path / "bomb.nir", layout), "MiB in all")


def test_more_than_a_million_edges_are_refused(tmp_path: Path) -> None:
    layout = small_layout()
    layout["node"]["edges"] = np.zeros((2**20 + 1, 2), dtype="S1")
    assert_unreadable(write_layout(tmp_path / "edges.nir", layout), "edges")


def nested(depth: int) -> dict[str, Any]:
    graph: dict[str, Any] = small_layout()["node"]
    for _ in range(depth):
        graph = {"type": "NIRGraph", "nodes": {"inner": graph}, "edges": np.zeros((0, 2))}
    return {"version": "1.0.8", "node": graph}


def test_graphs_nested_too_deeply_are_refused(tmp_path: Path) -> None:
    assert read(write_layout(tmp_path / "deep.nir", nested(12))).nodes["inner"]
    assert_unreadable(write_layout(tmp_path / "deeper.nir", nested(40)), "deeper than 16")


def test_a_group_that_contains_itself_is_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "loop.nir", small_layout())
    with h5py.File(path, "r+") as file:
        file["node/nodes/again"] = file["node"]
    assert_unreadable(path, "deeper than 16|20,000 nodes")


def empty_groups(path: Path, *parents: str, count: int) -> None:
    with h5py.File(path, "r+", libver="latest") as file:
        for parent in parents:
            group = file.require_group(parent).id
            for number in range(count):
                h5py.h5g.create(group, b"n%d" % number)


def test_more_than_20_000_nodes_are_refused_in_less_than_a_second(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "many.nir", small_layout())
    empty_groups(path, "node/nodes", count=20_001)
    start = time.process_time()
    assert_unreadable(path, "20,000 nodes")
    assert time.process_time() - start < 1.0


def test_more_than_20_000_nodes_in_subgraphs_are_refused_in_less_than_a_second(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "many.nir", small_layout())
    empty_groups(path, *(f"node/nodes/sub{number}/nodes" for number in range(200)), count=101)
    start = time.process_time()
    assert_unreadable(path, "20,000 nodes")
    assert time.process_time() - start < 1.0


def test_a_subgraph_hard_linked_a_thousand_times_over_is_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "laughs.nir", nested(10))
    with h5py.File(path, "r+") as file:
        place = "node/nodes"
        for _ in range(9):
            for number in range(10):
                file[f"{place}/copy{number}"] = file[f"{place}/inner"]
            place += "/inner/nodes"
    assert_unreadable(path, "20,000 nodes")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "locked.nir", chain(outputs=(2,)))

    def forbid(*args: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(h5py, "File", forbid)
    assert_unreadable(tmp_path / "locked.nir", "may not be read")


def test_a_text_whose_length_is_damaged_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "damaged.nir", small_layout())
    with h5py.File(path, "r") as file:
        offset = file["node/type"].id.get_offset()
    data = bytearray(path.read_bytes())
    data[offset + 3] = 0xF5
    path.write_bytes(data)
    assert_unreadable(path, "a text is not where it should be")


def test_a_text_heap_without_end_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "damaged.nir", small_layout())
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    data[heap + 16 : heap + 32] = bytes(16)
    path.write_bytes(data)
    assert_unreadable(path, "a text is not where it should be")


def test_a_text_in_the_headers_is_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "compact.nir", small_layout())
    with h5py.File(path, "r+") as file:
        edges = file["node/edges"][()]
        del file["node/edges"]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.COMPACT)
        kind, space = h5py.h5t.py_create(h5py.string_dtype(), logical=True), h5py.h5s.create_simple(edges.shape)
        h5py.Dataset(h5py.h5d.create(file["node"].id, b"edges", kind, space, properties))[...] = edges
    assert_unreadable(path, "stored in the headers", "nir.write")


def test_a_text_packed_by_a_filter_that_is_not_hdf5s_own_is_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "lzf.nir", small_layout())
    with h5py.File(path, "r+") as file:
        edges = file["node/edges"][()]
        del file["node/edges"]
        file.create_dataset("node/edges", data=edges, dtype=h5py.string_dtype(), chunks=True, compression="lzf")
    assert_unreadable(path, "filter 32000", "nir.write")


def test_max_pooling_is_refused_with_what_to_do_instead(tmp_path: Path) -> None:
    write(tmp_path / "graph.nir", small())
    with h5py.File(tmp_path / "graph.nir", "r+") as file:
        nodes = file["node/nodes"]
        name = next(name for name in nodes if nodes[name]["type"][()] == b"Affine")
        del nodes[name]["type"]
        nodes[name]["type"] = b"MaxPool2d"
    assert_unreadable(tmp_path / "graph.nir", "MaxPool2d", "average or sum pooling")
