"""The closed list of causes that forbid reconciling: each test would fail if what it is about were possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nir_interop.backends.adapter import load_adapter
from nir_interop.compare.divergence import output_of
from nir_interop.graphs import Array, Graph, digest, from_nir, write
from nir_interop.networks import LIF, Network, catalogue
from nir_interop.reconcile.model import FORBIDDING, forbidding
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import ResetKind, Start, UpdateRule
from nir_interop.vocabulary import Cause, Idiom
from tests.explain.library_graphs import Domain, Draw
from tests.known import fingerprint_of, running
from tests.strategies import DT, chain, node

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SIZE, DRAWS, AFTER = 3, 16, 30


def own(name: str, **axes: Any) -> dict[str, UpdateRule]:
    """A library's rules, with some axes changed."""
    return {kind: rule.but(**axes) for kind, rule in fingerprint_of(name).by_primitive().items()}


def out(recording: Recording) -> Array:
    found = output_of(recording)
    assert found is not None
    return found


def drawn(name: str) -> Iterator[tuple[Graph, float, float]]:
    """Single neurons whose input ends with the reset, the input that brings each over its threshold at once, and a step.

    A current-based neuron's current outlasts the reset, whatever that is.
    """
    domain = Domain(fingerprint_of(name))
    for seed in range(DRAWS):
        # snnTorch's IF is a leaky neuron that subtracts: its input outlasts its reset.
        forgets = {kind for kind in domain.kinds if domain.rule(kind).reset in (ResetKind.TO_VALUE, ResetKind.TO_ZERO)}
        for kind in sorted(forgets & {"IF", "LIF"}):
            draw = Draw(replace_kinds(domain, kind), seed)
            cell, strong = draw._neuron((SIZE,))
            graph = chain(node("Linear", weight=np.eye(SIZE, dtype=np.float32)), cell, size=SIZE)
            yield graph, 60.0 * strong, draw.dt


def replace_kinds(domain: Domain, kind: str) -> Domain:
    one = Domain(domain.fingerprint)
    one.kinds = (kind,)
    return one


def futures(strong: float, rng: np.random.Generator) -> Array:
    """(T, 3, n): samples that are hit just so, hard, and not at all, and are given the same from then on."""
    after = rng.normal(0.05, 0.06, (AFTER, 1, SIZE)) * strong
    first = np.array([1.0, 1.7, 0.0]).reshape(1, 3, 1) * strong * np.ones((1, 3, SIZE))
    return np.concatenate([first, np.repeat(after, 3, axis=1)]).astype(np.float32)


@pytest.mark.parametrize("name", ["snntorch", "spikingjelly"])
def test_a_neuron_that_starts_as_it_is_reset_does_after_a_spike_what_it_does_from_the_start(name: str) -> None:
    """No parameters make the two differ, and a source that starts elsewhere has them differ: which is why a pulse is needed."""
    rng, told_apart, seen = np.random.default_rng(2), 0, 0
    from_zero = own(name, reset=ResetKind.TO_VALUE, start=Start.ZERO)
    live = running(name)
    for graph, strong, dt in drawn(name):
        stimulus = futures(strong, rng)
        made = out(live(graph, stimulus, dt))
        if not made[0, 0].all():
            continue
        fresh = out(live(graph, stimulus[1:, :1].copy(), dt))
        seen += 1
        assert (made[1:, 0] == fresh[:, 0]).all(), graph
        elsewhere = with_reset(graph)
        meant = out(simulate(elsewhere, stimulus, dt, from_zero))
        told_apart += bool((meant[1:, 0] != out(simulate(elsewhere, stimulus[1:, :1], dt, from_zero))[:, 0]).any())
    assert seen > 3 and told_apart > 3


def with_reset(graph: Graph) -> Graph:
    """The same with a reset below the start."""
    cell = graph.nodes["n1"]
    low = replace(cell, params={**cell.params, "v_reset": -0.8 * cell["v_threshold"]})
    return Graph({**graph.nodes, "n1": low}, graph.edges)


def test_in_continuous_time_a_neuron_is_no_piecewise_linear_function_of_its_input(tmp_path: Path) -> None:
    """``discretisation``: the input that just makes it fire again, as a function of the one before, is a curve.

    Weights, thresholds and neurons of steps are piecewise linear in all that they have heard, so that for them it is a line
    from one spike pattern to the next, however many of them there are.
    """
    first = np.linspace(22.0, 38.0, 9)
    graph = chain(node("LIF", **{**NEURON, "v_reset": np.zeros(SIZE)}), size=SIZE)
    adapter = load_adapter("exact")
    write(tmp_path / "one.nir", graph)
    model = adapter.load(tmp_path / "one.nir", DT)
    curves = {}
    for name, run in (("exact", lambda x: adapter.run(model, x)), ("steps", lambda x: simulate(graph, x, DT, {}))):
        low, high = np.zeros_like(first), np.full_like(first, 60.0)
        for _ in range(40):
            middle = (low + high) / 2
            pairs = np.broadcast_to(np.stack([first, middle])[:, :, None], (2, len(first), SIZE)).astype(np.float64)
            fired = out(run(pairs))
            assert fired[0].all()
            again = fired[1, :, 0] > 0
            low, high = np.where(again, low, middle), np.where(again, middle, high)
        curves[name] = (low + high) / 2
    bend = {name: np.abs(np.diff(curve, 2)).max() / np.ptp(first) for name, curve in curves.items()}
    assert bend["steps"] < 1e-6
    assert bend["exact"] > 1e-4


Change = Callable[[Network], Network]


def other(name: str, **values: Any) -> Change:
    """The network with other parameters of a layer."""

    def change(network: Network) -> Network:
        layers = tuple(replace(layer, **values) if layer.name == name else layer for layer in network.layers)
        return replace(network, layers=layers)

    return change


def spiking(network: Network) -> Network:
    """The network with a spiking neuron for its readout."""
    return replace(network, layers=(*network.layers[:-1], LIF(name="lif2", tau=2e-3)))


LOST = [
    pytest.param("norse", "mlp_leak", other("lif1", v_reset=-0.4), id="norse-v_reset"),
    pytest.param("norse", "residual", other("lif2", v_threshold=1.5), id="norse-after-a-join"),
    pytest.param("snntorch", "residual", other("lif2", v_threshold=1.5), id="snntorch-after-a-join"),
    pytest.param("snntorch", "mlp_readout", spiking, id="snntorch-readout"),
]


@pytest.mark.parametrize(("exporter", "name", "change"), LOST)
def test_networks_that_differ_in_what_is_not_written_have_the_same_file(exporter: str, name: str, change: Change) -> None:
    """``parameter_lost``, ``node_lost``: no function of the file is right for both."""
    adapter, rng = load_adapter(exporter), np.random.default_rng(5)
    adapter.prepare()
    first = catalogue(name).build(0)
    stimulus = rng.binomial(1, 0.3, (60, 4, *first.input_shape)).astype(np.float32)
    files, outputs = [], []
    for network in (first, change(first)):
        model = adapter.build(network, DT, Idiom.PORTABLE)
        outputs.append(out(adapter.run(model, stimulus.copy())))
        files.append(digest(from_nir(adapter.export(model, stimulus[0, :1], DT))))
    assert files[0] == files[1]
    assert (outputs[0] != outputs[1]).any()


NEURON = {name: np.full(SIZE, value) for name, value in {"tau": 2e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0}.items()}


def test_the_list_is_closed() -> None:
    assert forbidding([*Cause]) == tuple(cause for cause in Cause if cause in FORBIDDING)
    assert {Cause.PARAMETER_LOST, Cause.NODE_LOST, Cause.DISCRETISATION} == FORBIDDING


@pytest.mark.parametrize(
    "cause",
    [Cause.RESET_KIND, Cause.RESET_LOST, Cause.START, Cause.UNSUPPORTED, Cause.NODE_DROPPED, Cause.JOIN_MISRUN],
    ids=str,
)
def test_what_others_may_stand_for_is_not_forbidden(cause: Cause) -> None:
    assert forbidding([cause, Cause.DECAY]) == ()
