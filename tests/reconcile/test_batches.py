"""A graph that was exported with its batch: written without, or left alone where an axis means something."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from nir_interop.agreement.side import Side
from nir_interop.errors import RunFailed
from nir_interop.fingerprint import Domain, Identified
from nir_interop.graphs import Graph, Node, digest, inline, write
from nir_interop.reconcile.planner import fitted, reconcile
from nir_interop.reconcile.shapes import BATCHES, unbatched_input
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING
from nir_interop.stimuli import bernoulli
from tests.command_line import run
from tests.known import CORE, running
from tests.strategies import DT, chain, graphs, node

SIDE = Side("side", DT)
KNOWN = Side("known", DT, {}, Domain({"LIF": Identified(NIR_MEANING, 9)}))


def batched(graph: Graph) -> Graph:
    """The same, exported with a batch of one sample."""
    nodes: dict[str, Node | Graph] = {}
    for name, each in graph.primitives():
        if each.kind in ("Input", "Output"):
            nodes[name] = node(each.kind, shape=[1, *np.atleast_1d(each["shape"])])
        elif each.kind in ("Affine", "Linear"):
            nodes[name] = each
        else:
            nodes[name] = Node(each.kind, {key: value[None] if value.ndim else value for key, value in each.params.items()})
    return Graph(nodes, graph.edges)


def small(gain: float = 20.0) -> Graph:
    rng = np.random.default_rng(0)
    values = {"tau": 20 * DT, "r": gain, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    lif = node("LIF", **{name: np.full(4, value, dtype=np.float32) for name, value in values.items()})
    weight = rng.normal(0.3, 1, (4, 4)).astype(np.float32)
    return chain(node("Affine", weight=weight, bias=np.zeros(4, dtype=np.float32)), lif, size=4)


@given(nested=graphs())
def test_without_its_batch_a_graph_computes_the_same_numbers(nested: Graph) -> None:
    graph = inline(nested)
    lifted = batched(graph)
    before = digest(lifted)
    found = unbatched_input(lifted, SIDE, KNOWN)
    assert found is not None
    assert digest(found.graph) == digest(graph)
    assert digest(lifted) == before
    stimulus = np.random.default_rng(1).normal(0.5, 1.0, (20, 2, *np.atleast_1d(graph.nodes["input"]["shape"])))  # type: ignore[index]
    one, other = (simulate(each, fitted(stimulus, each), DT).output for each in (lifted, found.graph))
    np.testing.assert_array_equal(one.reshape(other.shape), other)


def test_what_is_no_batch_is_left_alone() -> None:
    assert unbatched_input(small(), SIDE, KNOWN) is None
    assert unbatched_input(batched(small()), SIDE, SIDE) is None
    two = {**batched(small()).nodes, "input": node("Input", shape=[2, 4]), "output": node("Output", shape=[2, 4])}
    lif = {key: np.broadcast_to(value, (2, 4)).copy() for key, value in small().nodes["n1"].params.items()}  # type: ignore[union-attr]
    assert unbatched_input(Graph({**two, "n1": node("LIF", **lif)}, small().edges), SIDE, KNOWN) is None
    flat = node("Flatten", start_dim=0, end_dim=1)
    ends = {"input": node("Input", shape=[1, 4]), "flat": flat, "output": node("Output", shape=[4])}
    assert unbatched_input(Graph(ends, (("input", "flat"), ("flat", "output"))), SIDE, KNOWN) is None


@pytest.mark.parametrize("name", CORE)
def test_what_no_importer_reads_is_read_and_right_without_its_batch(name: str) -> None:
    stimulus, graph = bernoulli((4,), 40, 3, 0.5, 2), batched(small(1.0 if name == "norse" else 20.0))
    target = Side(name, DT, {}, KNOWN.domain)
    live = running(name)
    with pytest.raises(RunFailed, match="type mismatch"):
        live(graph, stimulus, DT)
    plan = reconcile(graph, Side("nir", DT), target, stimulus, BATCHES, run=live)
    assert [each.name for each in plan.passes] == ["unbatched_input"]
    assert plan.exact


def test_a_recording_without_the_batch_fits_a_file_with_it(tmp_path: Path) -> None:
    stimulus, graph = bernoulli((4,), 40, 3, 0.5, 2), small(1.0)
    write(tmp_path / "graph.nir", batched(graph))
    np.savez(tmp_path / "x.npz", input=stimulus, output=simulate(graph, stimulus, DT).output)
    command = ["reconcile", "graph.nir", "--to", "norse", "--from-recording", "x.npz", "-o", "out.nir", "--json"]
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [each["name"] for each in json.loads(done.stdout)["passes"]] == ["unbatched_input"]
