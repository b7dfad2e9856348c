"""The closed list of causes that forbid reconciling, each shown over what the live importers accept.

A single neuron is what a pass can rewrite: these tests draw its parameters from what the fingerprint says that a library takes,
and ask the library itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.adapter import load_adapter
from harness.compare.nodes import output_of
from harness.environments import backend
from harness.errors import RunFailed
from harness.fingerprint import Fingerprint
from harness.graphs import Array, Graph, digest, from_nir
from harness.matrix.fingerprints import import_fingerprint
from harness.matrix.live import LiveBackend
from harness.matrix.store import Store
from harness.networks import LIF, Network, catalogue
from harness.reconcile.forbidding import FORBIDDING, forbidding
from harness.reconcile.model import Side
from harness.recording import Recording
from harness.reference import simulate
from harness.rule import NIR_MEANING, ResetKind, Start, UpdateRule
from harness.vocabulary import Cause, Idiom
from tests.explain.library_graphs import Domain, Draw
from tests.strategies import DT, chain, node

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LIBRARIES = ("norse", "snntorch", "spikingjelly")
ROOT = Path(__file__).parents[2]
SIZE, DRAWS, AFTER = 3, 16, 30


@cache
def fingerprint(name: str) -> Fingerprint:
    return import_fingerprint(backend(name), Store(ROOT / ".nir-interop"))


def side(name: str) -> Side:
    known = fingerprint(name)
    return Side(name, DT, known.by_primitive(), known.rules)


def own(name: str, **axes: Any) -> dict[str, UpdateRule]:
    """A library's rules, with some axes changed."""
    return {kind: rule.but(**axes) for kind, rule in fingerprint(name).by_primitive().items()}


@pytest.fixture(scope="module", params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Iterator[LiveBackend]:
    with LiveBackend(backend(request.param)) as live:
        yield live


def out(recording: Recording) -> Array:
    found = output_of(recording)
    assert found is not None
    return found


def drawn(name: str) -> Iterator[tuple[Graph, float, float]]:
    """Single neurons whose input ends with the reset, the input that brings each over its threshold at once, and a step.

    A current-based neuron's current outlasts the reset, whatever that is.
    """
    domain = Domain(fingerprint(name))
    for seed in range(DRAWS):
        for kind in sorted({*domain.kinds} & {"IF", "LIF"}):
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


def test_after_a_spike_an_importer_s_neuron_has_forgotten_by_how_much_it_was_over(library: LiveBackend) -> None:
    """``reset_kind``: two inputs with the same spikes have the same future, whatever the parameters; a soft reset's differ."""
    rng, told_apart = np.random.default_rng(1), 0
    soft = own(library.backend.name, reset=ResetKind.SUBTRACT)
    for graph, strong, dt in drawn(library.backend.name):
        stimulus = futures(strong, rng)
        made = out(library(graph, stimulus, dt))
        if not made[0, :2].all():
            continue
        assert (made[:, 0] == made[:, 1]).all(), graph
        meant = out(simulate(graph, stimulus, dt, soft))
        told_apart += bool((meant[:, 0] != meant[:, 1]).any())
    assert told_apart > 3


@pytest.mark.parametrize("name", ["snntorch", "spikingjelly"])
def test_a_neuron_that_starts_as_it_is_reset_does_after_a_spike_what_it_does_from_the_start(name: str) -> None:
    """No parameters make the two differ, and a source that starts elsewhere has them differ: which is why a pulse is needed."""
    rng, told_apart, seen = np.random.default_rng(2), 0, 0
    from_zero = own(name, reset=ResetKind.TO_VALUE, start=Start.ZERO)
    with LiveBackend(backend(name)) as live:
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


def test_in_continuous_time_a_neuron_remembers_when_in_a_step_it_fired(tmp_path: Path) -> None:
    """``discretisation``: two inputs that fire in one step have different futures, which no neuron of steps tells apart."""
    from harness.graphs import write

    adapter, rng, remembered = load_adapter("exact"), np.random.default_rng(3), 0
    for number, tau in enumerate(rng.uniform(5 * DT, 40 * DT, 6)):
        values = {"tau": tau, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
        cell = node("LIF", **{name: np.full(SIZE, value) for name, value in values.items()})
        graph = chain(node("Linear", weight=np.eye(SIZE)), cell, size=SIZE)
        stimulus = futures(1.5 * tau / DT, rng)
        write(tmp_path / f"{number}.nir", graph)
        made = out(adapter.run(adapter.load(tmp_path / f"{number}.nir", DT), stimulus))
        stepped = out(simulate(graph, stimulus, DT, {}))
        assert stepped[0, :2].all() and (stepped[:, 0] == stepped[:, 1]).all()
        remembered += bool((made[1:, 0] != made[1:, 1]).any())
    assert remembered > 3


def not_taken(name: str) -> list[str]:
    rules = fingerprint(name).rules
    return sorted(kind for kind in ("I", "LI", "CubaLI", "Delay", "Threshold", "Scale") if not rules[kind].outputs)


def one_of(kind: str, rng: np.random.Generator) -> Graph:
    wide = {name: rng.uniform(0.5, 2.0, SIZE) for name in ("r", "scale", "threshold", "w_in")}
    wide |= {name: rng.uniform(5, 20, SIZE) * DT for name in ("tau", "tau_mem", "tau_syn")}
    wide |= {"v_leak": rng.uniform(-0.1, 0.1, SIZE), "delay": rng.integers(1, 4, SIZE) * DT}
    from harness.graphs.primitives import PARAMETERS

    part = node(kind, **{name: wide[name].astype(np.float32) for name in PARAMETERS[kind]})
    return chain(node("Linear", weight=rng.normal(0.5, 1, (SIZE, SIZE)).astype(np.float32)), part, size=SIZE)


def test_what_an_importer_takes_in_no_form_it_takes_in_no_other(library: LiveBackend) -> None:
    """``unsupported`` and ``node_dropped``: whatever its parameters are, the primitive is refused, fails, or is left out."""
    rng, tried = np.random.default_rng(4), 0
    for kind in not_taken(library.backend.name):
        for _ in range(3):
            graph, stimulus = one_of(kind, rng), rng.normal(0.5, 1.0, (20, 2, SIZE)).astype(np.float32)
            tried += 1
            try:
                made = output_of(library(graph, stimulus, DT))
            except RunFailed:
                continue
            meant = out(simulate(graph, stimulus, DT, {}))
            assert made is None or made.shape != meant.shape or not np.allclose(made, meant, rtol=1e-4, atol=1e-6), graph
    assert tried > 9


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
    """``parameter_lost``, ``node_lost``, ``bias_lost``, ``not_expressible``: no function of the file is right for both."""
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
GRAPH = chain(node("LIF", **NEURON, v_reset=np.zeros(SIZE)), size=SIZE)
SOFT = Side("soft", DT, {"LIF": NIR_MEANING.but(reset=ResetKind.SUBTRACT)})


def test_the_list_is_closed() -> None:
    assert forbidding([cause for cause in Cause if cause not in FORBIDDING], GRAPH, SOFT, side("norse")) == ()


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_reset_by_subtraction_is_forbidden_where_no_neuron_has_it_and_none_can_be_composed(name: str) -> None:
    assert forbidding([Cause.RESET_KIND, Cause.DECAY], GRAPH, SOFT, side(name)) == (Cause.RESET_KIND,)
    assert forbidding([Cause.RESET_KIND], GRAPH, SOFT, Side("nir", DT)) == ()
    assert forbidding([Cause.RESET_KIND], GRAPH, Side("hard", DT), side(name)) == ()


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_start_is_not_forbidden_since_a_pulse_makes_up_for_it(name: str) -> None:
    assert forbidding([Cause.START], GRAPH, SOFT, side(name)) == ()


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_primitive_is_forbidden_only_where_it_is_taken_in_no_form(name: str) -> None:
    analogue = chain(node("LI", **{key: NEURON[key] for key in ("tau", "r", "v_leak")}), size=SIZE)
    for cause in (Cause.UNSUPPORTED, Cause.NODE_DROPPED):
        assert forbidding([cause], analogue, SOFT, side(name)) == (cause,)
        assert forbidding([cause], GRAPH, SOFT, side(name)) == ()
        assert forbidding([cause], analogue, SOFT, Side("nir", DT)) == ()
