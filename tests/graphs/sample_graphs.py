"""Small graphs for the tests of nir_interop.graphs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nir_interop.errors import NotExpressible
from nir_interop.graphs import Graph, Node
from nir_interop.networks import catalogue, names
from tests.strategies import lif, node


def affine(outputs: int = 3, inputs: int = 2, seed: int = 0) -> Node:
    generator = np.random.default_rng(seed)
    return node("Affine", weight=generator.standard_normal((outputs, inputs)), bias=generator.standard_normal(outputs))


def chain(*middle: tuple[str, Node | Graph], inputs: Any = (2,), outputs: Any = (3,)) -> Graph:
    """Input → … → Output."""
    nodes = {"input": node("Input", shape=np.array(inputs, dtype=int)), **dict(middle)}
    nodes["output"] = node("Output", shape=np.array(outputs, dtype=int))
    return Graph(nodes, tuple(pairwise(nodes)))


def small() -> Graph:
    return chain(("fc", affine()), ("lif", lif()))


def changed(graph: Graph, *, edges: Iterable[tuple[str, str]] | None = None, **nodes: Node | Graph | None) -> Graph:
    """A copy with other edges, and with nodes replaced, added or (None) left out."""
    kept = {name: one for name, one in {**graph.nodes, **nodes}.items() if one is not None}
    return Graph(kept, tuple(graph.edges if edges is None else edges), graph.metadata)


def expressible() -> list[str]:
    """Names of the catalogue's networks that NIR has words for."""
    found = []
    for name in names():
        try:
            catalogue(name).build(0).to_nir()
        except NotExpressible:
            continue
        found.append(name)
    return found


def write_layout(path: Path, layout: dict[str, Any]) -> Path:
    """Write nested dictionaries as groups and everything else as arrays or text, as nir.write lays a file out."""

    def fill(group: h5py.Group, members: dict[str, Any]) -> None:
        for name, value in members.items():
            if isinstance(value, dict):
                fill(group.create_group(name), value)
            else:
                group[name] = value

    with h5py.File(path, "w") as file:
        fill(file, layout)
    return path


def small_layout(**nodes: Any) -> dict[str, Any]:
    """The file layout of Input → LIF → Output; a node that is None is left out."""
    values = {"tau": 2e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0}
    kept = {
        "input": {"type": "Input", "shape": np.array([3])},
        "lif": {"type": "LIF", **{name: np.full(3, value) for name, value in values.items()}},
        "output": {"type": "Output", "shape": np.array([3])},
        **nodes,
    }
    kept = {name: members for name, members in kept.items() if members is not None}
    edges = [("input", "lif"), ("lif", "output")]
    return {"version": "1.0.8", "node": {"type": "NIRGraph", "nodes": kept, "edges": edges}}


def assert_one_clear_line(error: BaseException, *mentions: str) -> None:
    """The message is one printable line of fewer than 300 characters that names what it is about."""
    message = str(error)
    assert len(message) < 300, f"{len(message)} characters: {message}"
    assert message.isprintable(), f"not one printable line: {message!r}"
    for mention in mentions:
        assert re.search(mention, message), f"{mention!r} is not in {message!r}"
