"""NIR files → graphs: safely, as they stand, whatever version of NIR wrote them.

The file is read with h5py and not with ``nir.read``: nir 1.0.8 adds Outputs to nodes that feed nothing, follows external
links, and cannot construct a grouped convolution.
"""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nir_interop.errors import UnreadableGraph
from nir_interop.graphs.hdf5_scan import Layout, scan
from nir_interop.graphs.hdf5_strings import Texts
from nir_interop.graphs.model import Graph, Node, as_array
from nir_interop.graphs.primitives import ANNOTATIONS, PARAMETERS
from nir_interop.printable import listed, shown

_MOST_TEXT = 2**26
"""Bytes, in all edges of a graph together: one text of the file may stand in many of them."""
_MOST_EDGES = 2**20

_NO_MAXIMUM = "a maximum is no sum, so none of its primitives can stand for it; train with average or sum pooling"
_INSTEAD = dict.fromkeys(("MaxPool1d", "MaxPool2d", "MaxPool3d"), _NO_MAXIMUM)

_WHOLE = "the graph"
_HALF = "the file is incomplete: its writing ended half-way"

_FILLED = {"v_reset": "read as 0, as nir.read does", "w_in": "read as 1, as nir.read does"}

_DERIVED = frozenset({"input_type", "output_type"})


def read(path: Path) -> Graph:
    """Read a NIR file: what stands in it, nothing repaired.

    Files of NIR 0.x and 1.x are read alike.  As nir 1.0.8 does, a missing ``v_reset`` means 0 and a missing ``w_in`` means 1.
    Whether the graph means anything is for :func:`nir_interop.graphs.validate` to say.  Links are never followed.
    Raises UnreadableGraph for what is no NIR file or cannot be opened safely; the message is one line.
    """
    return read_told(path).graph


@dataclass(frozen=True)
class Told:
    """A graph, and what its file says of itself.

    version : of NIR, as the file has it; empty where it has none
    assumed : what is not in the file and was filled in, a sentence each
    """

    graph: Graph
    version: str
    assumed: tuple[str, ...]


def read_told(path: Path) -> Told:
    """Read a NIR file as :func:`read` does, and say what it leaves out."""
    path = Path(path)
    shown_path = shown(path.name or path)
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise UnreadableGraph(f"{shown_path}: {reason}; give the path of a .nir file") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise UnreadableGraph(f"{shown_path}: it is {kind}; give the path of a .nir file")
    if not status.st_size:
        raise UnreadableGraph(f"{shown_path}: the file is empty; export it again")
    try:
        with h5py.File(path, "r") as file, Texts(path, file.id) as texts:
            return _Reader(file.id, texts).told()
    except UnreadableGraph as error:
        raise UnreadableGraph(f"{shown_path}: {error}") from error.__cause__
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, MemoryError, RecursionError) as error:
        raise UnreadableGraph(f"{shown_path}: {_reason(path, error)}") from error


def _reason(path: Path, error: BaseException) -> str:
    if isinstance(error, PermissionError):
        return "it may not be read; change its permissions"
    try:
        signed = h5py.is_hdf5(path)
    except (OSError, ValueError):
        signed = False
    if not signed:
        return _other_file(path)
    if "truncated" in str(error):
        return "the file is truncated; copy or export it again"
    line = " ".join(str(error).split())
    return f"the HDF5 is damaged ({shown(line[:120])[1:-1]}); copy or export it again"


_OTHERS = (
    (
        b"PK\x03\x04",
        "a zip archive, as torch.save writes it, and no NIR: load it with torch.load, and export the network with its library",
    ),
    (b"\x80", "a Python pickle and no NIR: load it with the library that wrote it, and export the network"),
    (b"version https://git-lfs", "Git LFS's note of where the file is, and not the file: get it with git lfs pull"),
)
"""What people have under the name of a NIR file, by how it begins, and what to do."""


def _other_file(path: Path) -> str:
    """What a file is that is not HDF5."""
    with path.open("rb") as file:
        begin = file.read(512)
    for signature, said in _OTHERS:
        if begin.startswith(signature):
            return f"it is {said}"
    if begin.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "it is a web page, and not the file that it shows; download that (raw)"
    return "it is not HDF5, so not NIR; write it with nir.write"


class _Reader:
    def __init__(self, file: h5py.h5f.FileID, texts: Texts) -> None:
        self.root = h5py.h5g.open(file, b"/")
        self.texts = texts
        self.filled: dict[str, list[str]] = {}
        self.twice = 0
        self.assumed: list[str] = []

    def told(self) -> Told:
        graph, version = self._root()
        assumed = [*self.assumed]
        assumed += [
            f"{parameter} is not in the file at {listed(map(shown, nodes))}: {_FILLED[parameter]}"
            for parameter, nodes in sorted(self.filled.items())
        ]
        if self.twice:
            assumed.append(f"{self.twice} edge{'s are' if self.twice > 1 else ' is'} there more than once: once is enough")
        return Told(graph, version, tuple(assumed))

    def _root(self) -> tuple[Graph, str]:
        layout = scan(self.root)
        version = self._version(layout)
        if "node" not in layout:
            self.assumed.append("the file has nodes and edges and no graph around them, as NIR 0.0 wrote it: read as a graph")
            return self._graph(self.root, layout, _WHOLE), version
        inner = layout["node"]
        if inner is None:
            raise UnreadableGraph("HDF5, but not NIR: 'node' is no group; write it with nir.write")
        group = h5py.h5g.open(self.root, b"node")
        kind = self._kind(group, inner, _WHOLE)
        return (self._graph(group, inner, _WHOLE) if kind == "NIRGraph" else self._single(group, inner, kind)), version

    def _version(self, layout: Layout) -> str:
        """What the file says of NIR's version; nothing before NIR 0.2."""
        if "version" not in layout:
            return ""
        if layout["version"] is not None:
            raise UnreadableGraph("HDF5, but not NIR: 'version' is a group; write it with nir.write")
        version = self._text(self.root, "version", "the file")
        major = re.match(r"v?(\d+)\.", version)  # what is no number is a state of NIR between two releases
        if major and int(major[1]) > 1:
            raise UnreadableGraph(f"it was written by NIR {shown(version)}; the harness reads NIR 0.x and 1.x")
        return version

    def _single(self, group: h5py.h5g.GroupID, layout: Layout, kind: str) -> Graph:
        """A node that is all that was written."""
        where = f"the single {shown(kind)}"
        known = PARAMETERS.get(kind, ())
        missing = [name for name in known if name not in layout and name not in (*_FILLED, "bias")]
        if not known or kind in ("Input", "Output") or missing:
            raise UnreadableGraph(f"it holds a single {shown(kind)} and no graph; put the node into a NIRGraph")
        name = kind.lower()
        self.assumed.append(f"the file holds a single {kind} and no graph: read as a graph of it")
        return Graph({name: Node(kind, self._parameters(group, layout, kind, where, name), self._said(group, layout))}, ())

    def _kind(self, group: h5py.h5g.GroupID, layout: Layout, where: str) -> str:
        if "type" not in layout or layout["type"] is not None:
            if (
                where != _WHOLE
                and "nodes" not in layout
                and any(member is not None and _typed(member) for member in layout.values())
            ):
                raise UnreadableGraph(f"{where} has no type; HDF5 splits names at '/': rename the node")
            raise UnreadableGraph(f"{where} has no type: {_half(layout)}")
        return self._text(group, "type", where)

    def _graph(self, group: h5py.h5g.GroupID, layout: Layout, where: str) -> Graph:
        members = layout.get("nodes")
        if members is None or "edges" not in layout or layout["edges"] is not None:
            raise UnreadableGraph(f"{where} lacks its {'nodes' if members is None else 'edges'}: {_half(layout)}")
        inside = h5py.h5g.open(group, b"nodes")
        nodes: dict[str, Node | Graph] = {}
        for name, member in members.items():
            here = f"node {shown(name)}"
            if member is None:
                raise UnreadableGraph(f"{here} is an array and no group; export it again")
            node = h5py.h5g.open(inside, name.encode())
            kind = self._kind(node, member, here)
            if kind == "NIRGraph":
                nodes[name] = self._graph(node, member, here)
            elif kind in PARAMETERS:
                nodes[name] = Node(kind, self._parameters(node, member, kind, here, name), self._said(node, member))
            else:
                instead = _INSTEAD.get(kind, "use one of its primitives")
                raise UnreadableGraph(f"{here} is of type {shown(kind)}, which NIR does not have; {instead}")
        return Graph(nodes, self._edges(group, where), self._said(group, layout))

    def _parameters(self, group: h5py.h5g.GroupID, layout: Layout, kind: str, where: str, called: str) -> dict[str, Any]:
        known = (*PARAMETERS[kind], *ANNOTATIONS.get(kind, ()))
        params: dict[str, Any] = {}
        for name, member in layout.items():
            if name in ("type", "metadata") or (name in _DERIVED and name not in known):
                continue
            if member is None:
                params[name] = self._value(group, name, where)
            elif name == "input_type" and member.get("input", member) is None:
                params[name] = self._value(h5py.h5g.open(group, b"input_type"), "input", where)
            else:
                raise UnreadableGraph(f"{where}: parameter {shown(name)} is a group and no array; export it again")
        threshold = params.get("v_threshold")
        if "v_reset" in known and "v_reset" not in params and isinstance(threshold, np.ndarray):
            params["v_reset"] = as_array(np.zeros_like(threshold))
            self.filled.setdefault("v_reset", []).append(called)
        if "w_in" in known and "w_in" not in params:
            params["w_in"] = as_array(1.0)
            self.filled.setdefault("w_in", []).append(called)
        return params

    def _value(self, group: h5py.h5g.GroupID, name: str, where: str) -> Any:
        """Numbers as an array, text as text."""
        dataset = h5py.h5d.open(group, name.encode())
        if isinstance(dataset.get_type(), h5py.h5t.TypeStringID):
            return self._text(group, name, where)
        dtype = dataset.dtype
        if dtype.kind not in "fiub":
            raise UnreadableGraph(f"{where}: {shown(name)} holds {shown(dtype)} where numbers are meant; export it again")
        array = np.zeros(dataset.shape, dtype.newbyteorder("="))  # torch takes numbers of no other byte order
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
        array.setflags(write=False)
        return array

    def _text(self, group: h5py.h5g.GroupID, name: str, where: str) -> str:
        dataset = h5py.h5d.open(group, name.encode())
        if not isinstance(dataset.get_type(), h5py.h5t.TypeStringID) or dataset.shape not in ((), (1,)):
            raise UnreadableGraph(f"{where}: {shown(name)} is not a text; export it again")
        return _decoded(next(self._texts(dataset)), where)

    def _texts(self, dataset: h5py.h5d.DatasetID) -> Iterator[bytes]:
        count = math.prod(dataset.shape)
        if dataset.get_type().is_variable_str():
            return self.texts.elements(dataset, count)
        values = np.empty(dataset.shape, dataset.dtype)
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
        return iter(values.reshape(-1).tolist())

    def _edges(self, group: h5py.h5g.GroupID, where: str) -> tuple[tuple[str, str], ...]:
        dataset = h5py.h5d.open(group, b"edges")
        if not math.prod(dataset.shape):
            return ()
        if dataset.dtype.kind in "iu" and len(dataset.shape) == 2 and dataset.shape[1] == 2 and dataset.shape[0] <= _MOST_EDGES:
            numbers = np.zeros(dataset.shape, np.int64)  # the places of nodes in a list, which are their names
            dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, numbers)
            return tuple(dict.fromkeys((str(source), str(target)) for source, target in numbers.tolist()))
        if not isinstance(dataset.get_type(), h5py.h5t.TypeStringID) or len(dataset.shape) != 2 or dataset.shape[1] != 2:
            raise UnreadableGraph(f"{where}: its edges are not pairs of names; export it again")
        if dataset.shape[0] > _MOST_EDGES:
            raise UnreadableGraph(f"{where} has more than {_MOST_EDGES:,} edges; the harness reads no more")
        names: list[str] = []
        length = 0
        for name in self._texts(dataset):
            length += len(name)
            if length > _MOST_TEXT:
                raise UnreadableGraph(f"{where}: the names in its edges are longer than {_MOST_TEXT >> 20} MiB in all")
            names.append(_decoded(name, f"an edge of {where}"))
        edges = tuple(zip(names[::2], names[1::2], strict=True))
        once = tuple(dict.fromkeys(edges))
        self.twice += len(edges) - len(once)
        return once

    def _said(self, group: h5py.h5g.GroupID, layout: Layout) -> dict[str, Any]:
        """The metadata of a node or a graph."""
        metadata = layout.get("metadata")
        return self._metadata(h5py.h5g.open(group, b"metadata"), metadata) if metadata else {}

    def _metadata(self, group: h5py.h5g.GroupID, layout: Layout) -> dict[str, Any]:
        """What can be read of it: metadata means nothing to the harness."""
        found: dict[str, Any] = {}
        for name, member in layout.items():
            if member is not None:
                found[name] = self._metadata(h5py.h5g.open(group, name.encode()), member)
                continue
            try:
                found[name] = self._value(group, name, "metadata")
            except (UnreadableGraph, TypeError):
                continue
        return found


def _half(layout: Layout) -> str:
    """What to do about a file of which something is missing: nir.write writes the type of a node last."""
    members = layout.get("nodes")
    begun = [name for name, member in (members or {}).items() if member is not None and "type" not in member]
    if not begun and members is not None:
        return f"{_HALF}; write it again"
    at = f" at node {shown(begun[0])}" if begun else ""
    one = "where one is a number without axes, write with nir.write(path, graph, compression=None)"
    return f"{_HALF}{at}: {one}; where one is None, give it an array"


def _typed(layout: Layout) -> bool:
    """Whether a group holds a node: under a name that was split, there are groups in groups before there is a type."""
    return layout.get("type", layout) is None or any(each is not None and _typed(each) for each in layout.values())


def _decoded(text: bytes, where: str) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableGraph(f"{where}: the text {shown(text)} is not UTF-8; rename it") from None
