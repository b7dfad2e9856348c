"""Graphs ↔ nir's own objects, and graphs → files that nir 1.0.8 reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from nir_interop.errors import InvalidGraph
from nir_interop.graphs.model import Graph, Node, as_array
from nir_interop.graphs.primitives import ANNOTATIONS, PARAMETERS
from nir_interop.printable import shown


def from_nir(graph: nir.NIRGraph) -> Graph:
    """Copy a graph of the nir package; nothing is shared with it.  Torch tensors become arrays, what is None is left out.

    Raises InvalidGraph where a node is None or holds something other than numbers and text.
    """
    nodes: dict[str, Node | Graph] = {}
    for name, node in graph.nodes.items():
        nodes[str(name)] = from_nir(node) if isinstance(node, nir.NIRGraph) else _node(str(name), node)
    edges = tuple(dict.fromkeys((str(source), str(target)) for source, target in graph.edges))
    return Graph(nodes, edges, _metadata(graph.metadata))


def _node(name: str, node: Any) -> Node:
    if node is None:
        raise InvalidGraph(f"node {shown(name)} is None: the exporter does not know this module; replace it by one it knows")
    kind = type(node).__name__
    if dataclasses.is_dataclass(node):
        values = {entry.name: getattr(node, entry.name, None) for entry in dataclasses.fields(node)}
    else:
        values = {key: value for key, value in vars(node).items() if not key.startswith("_")}
    input_type, output_type = values.pop("input_type", None), values.pop("output_type", None)
    metadata = _metadata(values.pop("metadata", None))
    if kind == "Input":
        values["shape"] = _only(input_type)
    elif kind == "Output":
        values["shape"] = _only(output_type)
    elif kind == "Flatten":
        values["input_type"] = _only(input_type)
    params = {key: _array(name, key, value) for key, value in sorted(values.items()) if value is not None}
    return Node(kind, params, metadata)


def _metadata(said: Any) -> dict[str, Any]:
    return dict(said) if isinstance(said, dict) else {}


def _only(annotation: Any) -> Any:
    return next(iter(annotation.values()), None) if isinstance(annotation, dict) else annotation


def _array(node: str, parameter: str, value: Any) -> Any:
    if isinstance(value, str):
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        array = as_array(value)
    except (TypeError, ValueError) as error:
        raise InvalidGraph(f"node {shown(node)}: {shown(parameter)} is not an array of numbers") from error
    if array.dtype.kind not in "fiub":
        raise InvalidGraph(f"node {shown(node)}: {shown(parameter)} is {shown(type(value).__name__)}, not an array of numbers")
    return array


def to_nir(graph: Graph) -> nir.NIRGraph:
    """A graph of the nir package, without its type check; nothing is shared.

    Raises InvalidGraph where nir cannot construct a node: parameters of unlike shapes, for instance.
    """
    nodes = {}
    for name, node in sorted(graph.nodes.items()):
        if isinstance(node, Graph):
            nodes[name] = to_nir(node)
            continue
        if node.kind not in PARAMETERS:
            raise InvalidGraph(f"node {shown(name)} is of type {shown(node.kind)}, which NIR does not have")
        try:
            nodes[name] = _nir_node(node)
            nodes[name].metadata = dict(node.metadata)
        except Exception as error:
            line = " ".join(str(error).split())[:120]
            raise InvalidGraph(f"node {shown(name)}: nir cannot construct this {node.kind} ({shown(line)[1:-1]})") from error
    return nir.NIRGraph(nodes, [*graph.edges], metadata=dict(graph.metadata), type_check=False)


def _nir_node(node: Node) -> nir.NIRNode:
    values = {name: _plain(value) for name, value in node.params.items()}
    if node.kind in ("Input", "Output"):
        key = node.kind.lower()
        return getattr(nir, node.kind)({key: np.atleast_1d(np.array(node["shape"]))})
    if node.kind == "Flatten":
        values["input_type"] = {"input": values.get("input_type")}
    for annotation in ANNOTATIONS.get(node.kind, ()):
        values.setdefault(annotation, None)
    constructed = getattr(nir, node.kind)
    weight = node.get("weight")
    if node.kind in ("Conv1d", "Conv2d") and weight is not None and int(np.max(node["groups"])) != 1:
        # nir 1.0.8 takes weight.shape[1] for the number of input channels, whatever the groups
        made = constructed(**{**values, "input_shape": None})
        made.input_shape = values["input_shape"]
        return made
    return constructed(**values)


def _plain(value: Any) -> Any:
    """What nir's constructors take: text, Python's own numbers for whole scalars, arrays."""
    if isinstance(value, str):
        return value
    array = np.array(value, copy=True)
    return int(array) if array.ndim == 0 and array.dtype.kind in "iu" else array


def write(path: Path, graph: Graph) -> None:
    """Write a file that nir 1.0.8 reads; the same graph gives the same bytes.  What a node says is unwritten is left out.

    Raises InvalidGraph for a name that HDF5 cannot store: empty, ``.``, or with ``/`` or a null character.
    """
    _check_names(graph)
    with h5py.File(path, "w", libver="earliest", track_order=False) as file:
        _text(file, "version", str(nir.version))
        _write_graph(file.create_group("node"), graph)


def _check_names(graph: Graph) -> None:
    for name, node in graph.nodes.items():
        if not name or name == "." or "/" in name or "\0" in name or name != name.encode("utf-8", "replace").decode():
            raise InvalidGraph(f"node {shown(name)}: HDF5 cannot store this name ('/' separates groups); rename the node")
        if isinstance(node, Graph):
            _check_names(node)


def _write_graph(group: h5py.Group, graph: Graph) -> None:
    _text(group, "type", "NIRGraph")
    edges = np.array(graph.edges or np.zeros((0, 2)), dtype=object).reshape(-1, 2)
    group.create_dataset("edges", data=edges, dtype=h5py.string_dtype(), track_times=False)
    if graph.metadata:
        _write_metadata(group.create_group("metadata"), graph.metadata)
    nodes = group.create_group("nodes")
    for name, node in sorted(graph.nodes.items()):
        inner = nodes.create_group(name)
        if isinstance(node, Graph):
            _write_graph(inner, node)
            continue
        _text(inner, "type", node.kind)
        for key, value in sorted(node.params.items()):
            if key not in node.unwritten:
                _write_value(inner, key, value)
        if node.metadata and "metadata" not in node.unwritten:
            _write_metadata(inner.create_group("metadata"), node.metadata)


def _write_metadata(group: h5py.Group, metadata: Mapping[str, Any]) -> None:
    """What of it is numbers or text: no more is read, either."""
    for key, value in sorted(metadata.items()):
        if isinstance(value, Mapping):
            _write_metadata(group.create_group(str(key)), value)
        elif isinstance(value, str) or np.asarray(value).dtype.kind in "fiub":
            _write_value(group, str(key), value)


def _write_value(group: h5py.Group, name: str, value: Any) -> None:
    if isinstance(value, str):
        _text(group, name, value)
        return
    array = np.asarray(value)
    packed = {"compression": "gzip"} if array.ndim and array.size else {}
    group.create_dataset(name, data=array, track_times=False, **packed)


def _text(group: h5py.Group, name: str, text: str) -> None:
    group.create_dataset(name, data=text, dtype=h5py.string_dtype(), track_times=False)
