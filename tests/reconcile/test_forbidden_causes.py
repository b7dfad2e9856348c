"""The closed list of causes that forbid reconciling: each test would fail if what it is about were possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nir_interop.agreement.side import Side
from nir_interop.backends.adapter import load_adapter
from nir_interop.compare.divergence import output_of
from nir_interop.fingerprint import Domain as SideDomain
from nir_interop.fingerprint import Identified, Wiring
from nir_interop.graphs import Array, Graph, digest, from_nir, write
from nir_interop.networks import LIF, Network, catalogue
from nir_interop.reconcile.forbidden import FORBIDDING, forbidding
from nir_interop.reconcile.neurons import membrane
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import (
    NIR_MEANING,
    Axis,
    Decay,
    Floor,
    Gain,
    LeakUse,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    Start,
    Timing,
    UpdateRule,
    Use,
)
from nir_interop.vocabulary import Cause, Idiom
from tests.explain.library_graphs import Domain, Draw
from tests.known import fingerprint_of, running
from tests.reconcile.pass_checks import rules
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


ALWAYS = {Cause.PARAMETER_LOST, Cause.NODE_LOST, Cause.DISCRETISATION}
BY_TARGET = {Cause.RESET_KIND, Cause.LAYER_DELAY, Cause.SPIKES_PER_STEP}
NIR = Side("nir", DT)
CYCLES, NO_CYCLES = Identified(NIR_MEANING, 100), Identified(NIR_MEANING)


def target(cycles: bool = True, takes_thresholds: bool = False, **axes: Axis) -> Side:
    """A library with one rule for all its neurons."""
    rule = NIR_MEANING.but(**axes)
    kinds = ("IF", "LIF", "CubaLIF")
    known = {kind: Identified(rule, 100) for kind in kinds} | {"Threshold": CYCLES if takes_thresholds else NO_CYCLES}
    return Side(
        "target", DT, dict.fromkeys(kinds, rule), SideDomain({**known, Wiring.RECURRENCE: CYCLES if cycles else NO_CYCLES})
    )


def test_the_list_is_closed() -> None:
    assert set(FORBIDDING) == ALWAYS | BY_TARGET
    for cause in Cause:
        assert bool(forbidding([cause], NIR, NIR)) is (cause in ALWAYS)


MANY = {"spikes": SpikesPerStep.MANY, "reset": ResetKind.SUBTRACT_ALL}
SOFT, LATE = {"reset": ResetKind.SUBTRACT}, {"spike_from": SpikeFrom.PREVIOUS}
FLOOR = {"reset": ResetKind.SUBTRACT, "floor": Floor.MINUS_THRESHOLD}
SUBTRACTING = Side("soft", DT, dict.fromkeys(("IF", "LIF", "CubaLIF"), NIR_MEANING.but(reset=ResetKind.SUBTRACT)))


@pytest.mark.parametrize(
    ("cause", "source", "other", "forbids"),
    [
        (Cause.RESET_KIND, NIR, target(**SOFT), True),
        (Cause.RESET_KIND, NIR, target(**FLOOR), False),  # a floor forgets
        (Cause.RESET_KIND, NIR, target(cycles=False, **FLOOR), True),
        (Cause.RESET_KIND, SUBTRACTING, target(**SOFT), False),
        (Cause.RESET_KIND, SUBTRACTING, target(), False),  # a feedback subtracts
        (Cause.RESET_KIND, SUBTRACTING, target(cycles=False), True),
        (Cause.LAYER_DELAY, NIR, target(**LATE), True),
        (Cause.LAYER_DELAY, NIR, target(takes_thresholds=True, **LATE), False),
        (Cause.LAYER_DELAY, NIR, target(), False),
        (Cause.SPIKES_PER_STEP, SUBTRACTING, target(cycles=False, **MANY), True),
        (Cause.SPIKES_PER_STEP, SUBTRACTING, target(**MANY), False),
        (Cause.SPIKES_PER_STEP, SUBTRACTING, target(**SOFT), False),
    ],
)  # fmt: skip
def test_what_forbids_by_target(cause: Cause, source: Side, other: Side, forbids: bool) -> None:
    assert forbidding([cause], source, other) == ((cause,) if forbids else ())


def test_late_sources_do_not_forbid_a_late_target() -> None:
    source = Side("late", DT, dict.fromkeys(("IF", "LIF", "CubaLIF"), NIR_MEANING.but(**LATE)))
    assert forbidding([Cause.LAYER_DELAY], source, target(**LATE)) == ()


seeds = st.integers(0, 2**32 - 1)


def membranes(graph: Graph, x: Array, rule: UpdateRule) -> tuple[dict[str, Array], dict[str, Array]]:
    made = simulate(graph, x, DT, rule)
    return made.membranes, made.spikes


def nudged(graph: Graph, x: Array, step: int, rule: UpdateRule, by: float = 1e-7) -> bool | None:
    """Whether the first neurons still know, at the end, of a little more input at a step in which one fired; None where others
    spiked otherwise for it, or none fired, or nothing decays so slowly that anything could be seen."""
    more = x.copy()
    more[step] += by
    (before, spikes), (after, others) = membranes(graph, x, rule), membranes(graph, more, rule)
    if any(not np.array_equal(spikes[name], others[name]) for name in spikes):
        return None
    fired = spikes["n1"][step, 0] > 0
    return bool((before["n1"][-1, 0] != after["n1"][-1, 0])[fired].all()) if fired.any() else None


@given(seeds, rules(spike_from=SpikeFrom.UPDATED, floor=Floor.NONE, decay=Decay.EXPONENTIAL), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_neuron_that_subtracts_never_forgets_and_one_that_is_set_to_a_value_does(
    seed: int, rule: UpdateRule, feeds_itself: bool
) -> None:
    """``reset_kind``: as long as all spike alike, membranes are linear in what they heard, whatever weights feed back what."""
    rng = np.random.default_rng(seed)
    cell = node("LIF", **{**NEURON, "tau": np.full(SIZE, 8 * DT), "r": np.full(SIZE, 8.0), "v_reset": np.full(SIZE, -0.1)})
    graph = chain(node("Linear", weight=np.eye(SIZE)), cell, size=SIZE)
    if feeds_itself:
        nodes = {**graph.nodes, "back": node("Linear", weight=rng.normal(0, 0.5, (SIZE, SIZE)))}
        graph = Graph(nodes, (*graph.edges, ("n1", "back"), ("back", "n1")))
    x = rng.normal(0.4, 0.8, (12, 1, SIZE))
    x[0] = 2.5 / np.abs(membrane(cell, (SIZE,), DT, rule).gain)
    for kind in ResetKind:
        if rule.spikes is SpikesPerStep.MANY and kind is ResetKind.SUBTRACT:
            continue
        knows = nudged(graph, x, 0, rule.but(reset=kind, timing=Timing.SAME_STEP))
        assert knows is None or knows is (kind in (ResetKind.SUBTRACT, ResetKind.SUBTRACT_ALL))


@given(seeds, st.sampled_from([each for each in SpikeFrom if each.late]), rules(start=Start.ZERO))
@settings(max_examples=100, deadline=None)
def test_a_late_neuron_says_nothing_of_what_it_hears(seed: int, late: SpikeFrom, rule: UpdateRule) -> None:
    """``layer_delay``: no weights before it change that, and a neuron that is not late answers at once."""
    rng = np.random.default_rng(seed)
    cell = node("LIF", **{**NEURON, "v_reset": np.zeros(SIZE)})
    graph = chain(node("Linear", weight=rng.normal(0, 30, (SIZE, SIZE))), cell, size=SIZE)
    weak, strong = np.zeros((4, 1, SIZE)), rng.normal(0, 1e3, (4, 1, SIZE))
    answers = [out(simulate(graph, x, DT, rule.but(spike_from=late, timing=Timing.SAME_STEP)))[0] for x in (weak, strong)]
    assert np.array_equal(*answers)
    now = rule.but(spike_from=SpikeFrom.UPDATED, resistance=Use.USED, gain=Gain.ONE)
    assert (
        out(simulate(graph, np.abs(strong), DT, now))[0].any()
        or not (graph.nodes["n0"]["weight"] @ np.abs(strong[0, 0]) > 1).any()
    )  # type: ignore[index]


@given(
    seeds, rules(spikes=SpikesPerStep.MANY, reset=ResetKind.SUBTRACT_ALL, spike_from=SpikeFrom.UPDATED, leak=LeakUse.IGNORED)
)
@settings(max_examples=100, deadline=None)
def test_a_neuron_with_several_spikes_a_step_is_silent_in_silence_and_one_with_one_is_not(seed: int, rule: UpdateRule) -> None:
    """``spikes_per_step``: nothing is left to fire with when nothing comes in, whatever came in before."""
    rule = rule.but(timing=Timing.SAME_STEP, start=Start.ZERO)
    cell = node("LIF", **{**NEURON, "tau": np.full(SIZE, 50 * DT), "v_reset": np.zeros(SIZE)})
    graph = chain(node("Linear", weight=np.eye(SIZE)), cell, size=SIZE)
    x = np.zeros((4, 1, SIZE))
    x[0] = np.random.default_rng(seed).uniform(2.5, 9.0, SIZE) / membrane(cell, (SIZE,), DT, rule).gain
    assert out(simulate(graph, x, DT, rule))[0].min() >= 2 and not out(simulate(graph, x, DT, rule))[1:].any()
    once = out(simulate(graph, x, DT, rule.but(spikes=SpikesPerStep.ONE, reset=ResetKind.SUBTRACT, floor=Floor.NONE)))
    assert once[:2].all()


@pytest.mark.parametrize(
    "cause",
    [Cause.RESET_KIND, Cause.RESET_LOST, Cause.START, Cause.UNSUPPORTED, Cause.NODE_DROPPED, Cause.JOIN_MISRUN],
    ids=str,
)
def test_what_others_may_stand_for_is_not_forbidden(cause: Cause) -> None:
    assert forbidding([cause, Cause.DECAY], NIR, target()) == ()
