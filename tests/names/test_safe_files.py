"""A file as a library is given it: itself, or a copy that differs in nothing but names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from nir_interop.backends.adapter import read_graph
from nir_interop.errors import ReadFailed
from nir_interop.explain.warnings import Suspects
from nir_interop.graphs import Graph, Node, read, with_safe_names, write
from nir_interop.recording import Recording
from nir_interop.safe_files import Handed, handed, renamed_in, write_safe
from nir_interop.safe_names import is_safe, replacements
from nir_interop.transfer.importing import cell, meaning
from nir_interop.workers.jobs import Cell, Meaning
from nir_interop.workers.progress import JobProgress
from tests.names.hostile import NAMES, PAYLOADS, hostile_graph
from tests.names.name_sensitive_backends import Executing
from tests.strategies import port


def contents(group: h5py.Group, path: str = "") -> dict[str, Any]:
    """Everything in a file but the names of nodes: arrays with their types, attributes, and what is compressed how."""
    found: dict[str, Any] = {}
    for name, member in group.items():
        below = f"{path}/{name}"
        found[f"{below}@"] = {key: value for key, value in member.attrs.items()}
        if isinstance(member, h5py.Dataset):
            value = member[()]
            found[below] = value.tolist() if isinstance(value, np.ndarray) else value
            found[f"{below}:"] = (str(member.dtype), member.shape, member.compression, member.chunks)
        elif name == "nodes":
            for number, (_, each) in enumerate(member.items()):
                found |= contents(each, f"{below}/{number}")
                found[f"{below}/{number}@"] = dict(each.attrs)
        else:
            found |= contents(member, below)
    return found


def without_edges(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if "/edges" not in name}


def test_a_file_of_safe_names_is_given_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "plain.nir"
    write(path, hostile_graph(["fc1", "lif1", "block.fc2", "block.lif2"]))
    before = path.read_bytes()
    with handed(path) as given:
        assert given == Handed(path)
    copy = tmp_path / "copy.nir"
    assert write_safe(path, copy) == {}
    assert copy.read_bytes() == before == path.read_bytes()


def test_a_copy_differs_in_nothing_but_names(evil: Path) -> None:
    with h5py.File(evil, "r+") as file:
        file["node"].attrs["written by"] = "somebody"
        file["node/nodes"][NAMES[0]].attrs["units"] = "mV"
        file["node"].require_group("metadata").create_dataset("notes", data=np.arange(5000), compression="lzf")
        file["node/edges"].attrs["order"] = 1
    before = evil.read_bytes()
    with handed(evil) as given:
        assert given.path != evil and given.path.name == evil.name
        with h5py.File(evil) as one, h5py.File(given.path) as other:
            assert without_edges(contents(one)) == without_edges(contents(other))
            assert dict(one["node/edges"].attrs) == dict(other["node/edges"].attrs)
            ends = [end.decode() for end in other["node/edges"][()].reshape(-1)]
            assert [given.original(end) for end in ends] == [end.decode() for end in one["node/edges"][()].reshape(-1)]
            assert all(map(is_safe, other["node/nodes"]))
        assert set(given.originals.values()) >= set(NAMES)
        called = replacements([*NAMES, "input", "output"])
        assert set(read_graph(given.path).nodes) == {called.get(name, name) for name in read(evil).nodes}
    assert not given.path.exists()
    assert evil.read_bytes() == before


def test_nested_graphs_are_renamed_on_every_level(tmp_path: Path) -> None:
    inner = hostile_graph([PAYLOADS[0], "0"])
    nodes: dict[str, Node | Graph] = {"input": port("Input", 3), "x;y": inner, "plain": inner, "output": port("Output", 3)}
    write(tmp_path / "nested.nir", Graph(nodes, (("input", "x;y"), ("x;y", "plain"), ("plain", "output"))))
    with handed(tmp_path / "nested.nir") as given:
        graph = nir.read(given.path)
        assert {given.original(name) for name in graph.nodes} == set(nodes)
        for name, each in graph.nodes.items():
            for below in each.nodes if isinstance(each, nir.NIRGraph) else ():
                assert is_safe(below)
                assert given.original(f"{name}.{below}").split(".", 1)[0] == given.original(name)
        assert {f"x;y.{PAYLOADS[0]}", "plain.0"} <= set(given.originals.values())


def test_a_group_that_keeps_the_order_of_its_nodes_keeps_it(tmp_path: Path) -> None:
    path, names = tmp_path / "tracked.nir", ["z 1", "output", "b", "a 2", "input"]
    with h5py.File(path, "w", track_order=True) as file:
        file["version"] = "1.0.8"
        graph = file.create_group("node")
        graph["type"] = "NIRGraph"
        graph["edges"] = np.array([["input", "z 1"], ["z 1", "a 2"]], dtype=h5py.string_dtype())
        nodes = graph.create_group("nodes", track_order=True)
        for name in names:
            nodes.create_group(name)["type"] = "Scale"
    with handed(path) as given, h5py.File(given.path) as file:
        assert [given.original(name) for name in file["node/nodes"]] == names
        assert all(map(is_safe, file["node/nodes"]))


def test_one_graph_under_two_names_is_renamed_once(tmp_path: Path) -> None:
    path = tmp_path / "linked.nir"
    nodes: dict[str, Node | Graph] = {"input": port("Input", 3), "a": hostile_graph(["0"]), "output": port("Output", 3)}
    write(path, Graph(nodes, (("input", "a"), ("a", "output"))))
    with h5py.File(path, "r+") as file:
        file["node/nodes/b"] = file["node/nodes/a"]
    with handed(path) as given:
        graph = nir.read(given.path, type_check=False)
        found = {given.original(f"{outer}.{name}") for outer in "ab" for name in graph.nodes[outer].nodes}
    assert found >= {"a.0", "b.0"}


def test_edges_to_names_that_are_not_there_stay_such(tmp_path: Path) -> None:
    path = tmp_path / "dangling.nir"
    write(path, Graph({"in put": port("Input", 1), "out": port("Output", 1)}, (("in put", "b'); x("), ("in put", "out"))))
    with handed(path) as given, h5py.File(given.path) as file:
        ends = {end.decode() for end in file["node/edges"][()].reshape(-1)}
        assert all(map(is_safe, ends))
        assert len(ends - set(file["node/nodes"])) == 1


@pytest.mark.parametrize("content", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + b"\0" * 200])
def test_what_is_no_graph_is_given_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.nir"
    path.write_bytes(content)
    with handed(path) as given:
        assert given.path == path
    with pytest.raises(ReadFailed):
        read_graph(path)


def test_a_file_whose_names_cannot_be_replaced_is_given_to_nobody(tmp_path: Path) -> None:
    path = tmp_path / "linked.nir"
    for name, given_to_some in ((PAYLOADS[0], False), ("lif1", True)):
        write(path, hostile_graph([name], said=False))
        with h5py.File(path, "r+") as file:
            file["node/nodes/nowhere"] = h5py.SoftLink("/nothing")
        assert set(nir.read(path, type_check=False).nodes) >= {name}, "nir's reader looks away from what is not there"
        if given_to_some:
            with handed(path) as given:
                assert given.path == path
            continue
        with pytest.raises(ReadFailed, match="could be run as code"), handed(path):
            pass
        with pytest.raises(ReadFailed, match="could be run as code"):
            write_safe(path, tmp_path / "copy.nir")


def test_a_cell_of_such_a_file_is_a_read_error(tmp_path: Path) -> None:
    path = tmp_path / "linked.nir"
    write(path, hostile_graph([PAYLOADS[0]]))
    with h5py.File(path, "r+") as file:
        file["node/nodes/nowhere"] = h5py.SoftLink("/nothing")
    np.savez(tmp_path / "x.npz", input=np.zeros((2, 1, 3)))
    given: dict[str, Any] = {"graph": str(path), "stimulus": str(tmp_path / "x.npz"), "dt": 1e-4, "seed": 0}
    for found in (
        cell(Executing(), Cell(**given, readout="rate"), JobProgress()),
        meaning(Executing(), Meaning(**given), JobProgress()),
    ):
        assert (found.status, found.error_type) == ("read_error", "ReadFailed")


def test_a_file_that_nobody_may_write_is_renamed_in_the_copy(evil: Path) -> None:
    evil.chmod(0o400)
    with handed(evil) as given:
        assert given.path != evil
        assert all(map(is_safe, nir.read(given.path).nodes))


def test_what_a_library_says_is_put_under_the_files_names(evil: Path) -> None:
    shown = "<img src=x onerror=alert(1)>"
    with handed(evil) as given:
        (safe,) = (new for new, old in given.originals.items() if old == shown)
        assert given.told(f"layer '{safe}' and {safe}_raw, not x{safe}") == f"layer '{shown}' and {shown}_raw, not x{safe}"
        array = np.zeros((1, 1, 1))
        recorded = given.recorded(Recording({"output": array}, {safe: array}, {safe: array}))
        assert set(recorded.spikes) == set(recorded.membranes) == {shown}
        assert "\x1b" not in given.told(" ".join(given.originals))


@pytest.mark.parametrize("name", NAMES)
def test_a_warning_that_names_a_node_counts_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    path = tmp_path / "named.nir"
    write(path, hostile_graph([name, "other"]))
    with handed(path) as given:
        (safe,) = (new for new, old in given.originals.items() if old == name)
        assert Suspects((name,)).named_in(given.told(f"module '{safe}' is ignored"))
        assert not Suspects((name,)).named_in(given.told("module 'other' is ignored"))


@pytest.mark.parametrize("name", PAYLOADS)
def test_the_reader_that_importers_use_gives_none_a_name_that_could_be_code(name: str, tmp_path: Path) -> None:
    path = tmp_path / "evil.nir"
    write(path, hostile_graph([name]))
    with pytest.raises(ReadFailed, match="could be run as code") as raised:
        read_graph(path)
    assert str(raised.value).isprintable()


def test_the_reader_refuses_code_in_edges_and_below(tmp_path: Path) -> None:
    ends = {"input": port("Input", 3), "output": port("Output", 3)}
    inner: dict[str, Node | Graph] = {**ends, "a": hostile_graph([PAYLOADS[0]])}
    write(tmp_path / "below.nir", Graph(inner, (("input", "a"), ("a", "output"))))
    with pytest.raises(ReadFailed, match="could be run as code"):
        read_graph(tmp_path / "below.nir")


def test_graphs_are_renamed_as_files_are(tmp_path: Path) -> None:
    graph = hostile_graph()
    made, called = with_safe_names(graph)
    write(tmp_path / "one.nir", graph)
    write(tmp_path / "other.nir", made)
    assert set(called) >= set(NAMES)
    with handed(tmp_path / "one.nir") as given:
        assert {old: new for new, old in given.originals.items()} == called == renamed_in(tmp_path / "one.nir")
        assert list(nir.read(given.path).nodes) == list(nir.read(tmp_path / "other.nir").nodes)
    assert with_safe_names(made) == (made, {})
