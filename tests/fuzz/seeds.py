"""Small sound files from which the fuzzers begin: graphs with every primitive, recordings, reports, lists of issues."""

from __future__ import annotations

import io
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nir_interop.graphs import Graph, Node, write
from nir_interop.recording import Recording
from tests.places import ROOT
from tests.strategies import alike, node


def chain(shapes: tuple[Any, Any], *middle: Node | Graph, loop: tuple[str, str] | None = None) -> Graph:
    """Input → n0 → n1 → … → Output, and an edge back where one is given."""
    nodes: dict[str, Node | Graph] = {"input": node("Input", shape=shapes[0])}
    nodes |= {f"n{number}": each for number, each in enumerate(middle)}
    nodes["output"] = node("Output", shape=shapes[1])
    return Graph(nodes, (*pairwise(nodes), *([loop] if loop else [])))


def neuron(kind: str, size: int | tuple[int, ...] = 3) -> Node:
    values: dict[str, dict[str, float]] = {
        "I": {"r": 1.0},
        "IF": {"r": 300.0, "v_threshold": 0.1, "v_reset": 0.0},
        "LI": {"tau": 2e-3, "r": 1.0, "v_leak": 0.1},
        "LIF": {"tau": 2e-3, "r": 5.0, "v_leak": 0.0, "v_threshold": 0.3, "v_reset": -0.1},
        "CubaLI": {"tau_syn": 1e-3, "tau_mem": 2e-3, "r": 1.0, "v_leak": 0.0, "w_in": 2.0},
        "CubaLIF": {"tau_syn": 1e-3, "tau_mem": 2e-3, "r": 1.0, "v_leak": 0.0, "w_in": 2.0, "v_threshold": 0.1, "v_reset": 0.0},
    }
    return alike(kind, size, **values[kind])


def graphs() -> tuple[Graph, ...]:
    """Every primitive, a loop, a graph within a graph, two Outputs."""
    generator = np.random.default_rng(0)
    dense = node("Affine", weight=generator.standard_normal((3, 2)), bias=generator.standard_normal(3))
    square = node("Linear", weight=generator.standard_normal((3, 3)).astype(np.float32))
    window = {"stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1}
    conv = node("Conv2d", weight=generator.standard_normal((2, 1, 3, 3)), bias=np.zeros(2), **window)
    line = node(
        "Conv1d", weight=generator.standard_normal((2, 1, 3)), bias=np.zeros(2), stride=1, padding="same", dilation=1, groups=1
    )
    pools = [node(kind, kernel_size=[2, 2], stride=[2, 2], padding=[0, 0]) for kind in ("SumPool2d", "AvgPool2d")]
    flatten = node("Flatten", start_dim=0, end_dim=-1)
    inner = chain(([3], [3]), square, neuron("LIF"))
    two = chain(([2], [3]), dense, neuron("CubaLIF"))
    return (
        chain(([2], [3]), dense, neuron("LIF")),
        chain(([2], [3]), dense, neuron("CubaLIF"), square, neuron("LI"), loop=("n2", "n1")),
        chain(([1, 8, 8], [8]), conv, pools[0], pools[1], flatten),
        chain(([1, 8], [16]), line, neuron("IF", (2, 8)), flatten),
        chain(([3], [3]), node("Delay", delay=[0.0, 1e-4, 1e-3]), node("Scale", scale=2.0), node("Threshold", threshold=0.5)),
        chain(([2], [3]), dense, inner, neuron("CubaLI")),
        Graph({**two.nodes, "other": node("Output", shape=[3])}, (*two.edges, ("n0", "other"))),
        chain(([3], [3]), neuron("I"), node("Delay", delay=2e-4), neuron("LIF", 1), loop=("n1", "n1")),
    )


@lru_cache(maxsize=1)
def graph_files(folder: Path) -> tuple[bytes, ...]:
    """The graphs as NIR files; ``folder`` is where they are written on their way."""
    found = []
    for graph in graphs():
        write(folder / "seed.nir", graph)
        found.append((folder / "seed.nir").read_bytes())
    return tuple(found)


def recordings(folder: Path) -> tuple[bytes, ...]:
    """npz files as a user writes them, and as ``--save`` does."""
    spikes = (np.random.default_rng(0).random((6, 2, 3)) > 0.5).astype(np.float32)
    found = []
    for save in (np.savez, np.savez_compressed):
        packed = io.BytesIO()
        save(packed, input=spikes[:, :, :2], output=spikes)
        found.append(packed.getvalue())
    whole = Recording({"output": spikes.astype(np.uint8)}, {"n1": spikes.astype(np.uint8)}, {"n1": spikes})
    whole.save(folder / "seed.npz", input=spikes[:, :, :2])
    return (*found, (folder / "seed.npz").read_bytes())


def reports() -> tuple[bytes, ...]:
    """The first rows of the committed report."""
    lines = (ROOT / "results" / "report.csv").read_bytes().splitlines(keepends=True)
    return (b"".join(lines[:1]), b"".join(lines[:6]), b"".join(lines[:1] + lines[-8:]))


def issue_lists() -> tuple[bytes, ...]:
    """The first entries of the known issues."""
    text = (ROOT / "harness" / "nir_interop" / "matrix" / "known_issues.toml").read_text(encoding="utf-8")
    head, *entries = text.split("\n[[issue]]\n")
    return tuple("\n[[issue]]\n".join(parts).encode() for parts in (["", *entries[:3]], [head, entries[-1]]))
