"""Each planted fault is named, with its owner; rounding is proven or not; what nothing explains is not explained."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nir_interop.agreement.guided import guided
from nir_interop.agreement.side import Side
from nir_interop.errors import RunFailed
from nir_interop.explain.causes import causes_between
from nir_interop.explain.verdict import explain_cell
from nir_interop.graphs import NEURONS, Array, Graph, Node, from_nir
from nir_interop.networks import catalogue
from nir_interop.recording import Recording
from nir_interop.reference import Simulator, simulate
from nir_interop.rule import (
    NIR_MEANING,
    Axis,
    Comparison,
    Decay,
    FeedbackBias,
    Floor,
    Gain,
    LeakUse,
    Order,
    Precision,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    Start,
    TimeStep,
    Timing,
    UpdateRule,
    Use,
)
from nir_interop.verdict import Verdict
from nir_interop.vocabulary import Blame, Cause, Status
from tests.explain.fake_backend import DEFAULT_DT, PLANTABLE, FakeBackend, FakeExporter, observe
from tests.explain.fake_backend import EXPORTER_FAULTS as BY_EXPORTER
from tests.strategies import DT, chain, lif, neuron, node, port

RULE_FAULTS: list[tuple[dict[str, Axis], Cause]] = [
    ({"decay": Decay.EXPONENTIAL}, Cause.DECAY),
    ({"gain": Gain.ONE}, Cause.GAIN),
    ({"gain": Gain.JUMP}, Cause.GAIN),
    ({"synapse_gain": Gain.ONE}, Cause.GAIN),
    ({"order": Order.MEMBRANE_FIRST}, Cause.SYNAPSE_ORDER),
    ({"reset": ResetKind.SUBTRACT}, Cause.RESET_KIND),
    ({"reset": ResetKind.TO_ZERO}, Cause.RESET_VALUE_IGNORED),
    ({"timing": Timing.NEXT_STEP}, Cause.RESET_LATE),
    ({"spikes": SpikesPerStep.MANY}, Cause.SPIKES_PER_STEP),
    ({"floor": Floor.MINUS_THRESHOLD}, Cause.FLOOR),
    ({"start": Start.LEAK}, Cause.START),
    ({"start": Start.RESET}, Cause.START),
    ({"spike_from": SpikeFrom.PREVIOUS}, Cause.LAYER_DELAY),
    ({"feedback_bias": FeedbackBias.ABSENT}, Cause.FEEDBACK_BIAS_AT_START),
    ({"time_step": TimeStep.FIXED}, Cause.DT_FIXED),
    ({"time_step": TimeStep.INFERRED}, Cause.DT_GUESSED),
    ({"time_step": TimeStep.UNIT}, Cause.TIME_UNIT),
    ({"resistance": Use.IGNORED}, Cause.RESISTANCE_IGNORED),
    ({"resistance": Use.COLLAPSED}, Cause.RESISTANCE_COLLAPSED),
    ({"input_weight": Use.IGNORED}, Cause.INPUT_WEIGHT_IGNORED),
    ({"threshold": Use.COLLAPSED}, Cause.THRESHOLD_COLLAPSED),
    ({"leak": LeakUse.IGNORED}, Cause.LEAK_IGNORED),
    ({"leak": LeakUse.ON_SYNAPSE}, Cause.LEAK_ON_SYNAPSE),
    ({"leak": LeakUse.ADDED}, Cause.LEAK_ADDED),
]


def network(seed: int, kind: str = "CubaLIF") -> Graph:
    """A join, a recurrence, a Scale, a Delay and a readout of spikes; parameters off every neutral value."""
    rng = np.random.default_rng(seed)
    nodes = {
        "input": port("Input", 3),
        "dense": node("Affine", weight=rng.normal(0.3, 1, (4, 3)), bias=rng.normal(0.2, 0.2, 4)),
        "first": neuron("LIF", 4, rng, 1.5),
        "square": node("Affine", weight=rng.normal(0.3, 1, (4, 4)), bias=rng.normal(0.2, 0.2, 4)),
        "scale": node("Scale", scale=rng.uniform(0.5, 1.5, 4)),
        "delay": node("Delay", delay=DT * rng.integers(1, 4, 4)),
        "middle": neuron(kind, 4, rng, 1.5),
        "rec": node("Affine", weight=rng.normal(0, 0.6, (4, 4)), bias=rng.normal(0.5, 0.5, 4)),
        "skip": node("Linear", weight=rng.normal(0.2, 1, (4, 3))),
        "dense2": node("Affine", weight=rng.normal(0.8, 1, (3, 4)), bias=rng.normal(0.2, 0.2, 3)),
        "last": neuron("LIF", 3, rng, 1.5),
        "output": port("Output", 3),
    }
    path = ["input", "dense", "first", "square", "scale", "delay", "middle", "dense2", "last", "output"]
    edges = [*itertools.pairwise(path), ("input", "skip"), ("skip", "middle"), ("middle", "rec"), ("rec", "middle")]
    return Graph(nodes, tuple(edges))


def drive(graph: Graph, seed: int, steps: int = 80, batch: int = 6) -> np.ndarray:
    shape = tuple(int(size) for size in graph.nodes["input"]["shape"])  # type: ignore[index]
    return np.random.default_rng(seed).normal(0.5, 1.0, (steps, batch, *shape))


def explain(graph: Graph, x: np.ndarray, native: Recording, made: Recording | None, **facts: object) -> Verdict:
    plain = {"source": exporter(), "target": importer(), "intended": graph, "exported": graph}
    return explain_cell(native=native, made=made, stimulus=x, **{**plain, **facts})  # type: ignore[arg-type]


def exporter(rule: UpdateRule = NIR_MEANING, dt: float = DT) -> Side:
    return Side("the source", dt, every(rule))


def importer(rule: UpdateRule = NIR_MEANING, dt: float = DT) -> Side:
    return Side("the importer", dt, every(rule))


def every(rule: UpdateRule) -> dict[str, UpdateRule]:
    return dict.fromkeys(NEURONS, rule)


@pytest.mark.parametrize(("axes", "cause"), RULE_FAULTS, ids=[str(axes) for axes, _ in RULE_FAULTS])
def test_a_rule_that_differs_in_one_field_is_named_and_explains_everything(axes: dict[str, Axis], cause: Cause) -> None:
    rule = NIR_MEANING.but(**axes)
    named = 0
    for seed in range(6):
        graph, dt = network(seed), 2**-12 if cause is Cause.DT_FIXED else DT
        x = drive(graph, seed)
        delay = node("Delay", delay=dt)
        graph = Graph({**graph.nodes, "delay": delay}, graph.edges)
        native, target = simulate(graph, x, dt), simulate(graph, x, dt, rule)
        if np.array_equal(native.output, target.output):
            continue
        verdict = explain(graph, x, native, target, source=exporter(dt=dt), target=importer(rule, dt))
        assert verdict.codes == (str(cause),)
        assert verdict.explained == 1.0
        assert verdict.blame is Blame.IMPORTER
        assert verdict.causes[0].repaired > 0
        named += 1
    assert named


def test_a_source_that_is_odd_makes_the_exporter_answer_and_two_odd_sides_share_the_blame() -> None:
    graph = network(1)
    x = drive(graph, 1)
    odd, other = NIR_MEANING.but(decay=Decay.EXPONENTIAL), NIR_MEANING.but(gain=Gain.ONE)
    nir, exponential = simulate(graph, x, DT), simulate(graph, x, DT, odd)
    verdict = explain(graph, x, exponential, nir, source=exporter(odd))
    assert (verdict.codes, verdict.blame, verdict.explained) == (("decay",), Blame.EXPORTER, 1.0)
    jump = NIR_MEANING.but(gain=Gain.JUMP)
    verdict = explain(
        graph, x, simulate(graph, x, DT, other), simulate(graph, x, DT, jump), source=exporter(other), target=importer(jump)
    )
    assert (verdict.codes, verdict.blame) == (("gain",), Blame.BOTH)


def test_a_soft_reset_that_the_exporter_did_not_write_is_lost_not_another_kind() -> None:
    graph = network(2)
    x = drive(graph, 2)
    soft = NIR_MEANING.but(reset=ResetKind.SUBTRACT)
    verdict = explain(graph, x, simulate(graph, x, DT, soft), simulate(graph, x, DT), source=exporter(soft))
    assert (verdict.codes, verdict.blame, verdict.explained) == (("reset_lost",), Blame.EXPORTER, 1.0)


def test_a_gain_that_moved_into_the_weights_is_no_loss_beside_a_lost_soft_reset() -> None:
    rng, gain = np.random.default_rng(0), 0.25
    shared = {"tau": np.full(4, DT / gain), "v_leak": np.zeros(4)}
    weight, bias = rng.normal(2, 1, (4, 3)), rng.normal(0, 0.2, 4)
    ends = {"input": port("Input", 3), "output": port("Output", 4)}
    soft = {
        "fc": node("Affine", weight=weight, bias=bias),
        "lif_membrane": node("LI", r=np.ones(4), **shared),
        "lif": node("Threshold", threshold=np.ones(4)),
        "lif_reset": node("Scale", scale=np.full(4, -(1 - gain) / gain)),
    }
    loop = [("lif_membrane", "lif"), ("lif", "lif_reset"), ("lif_reset", "lif_membrane")]
    intended = Graph({**ends, **soft}, (("input", "fc"), ("fc", "lif_membrane"), *loop, ("lif", "output")))
    hard = {
        "fc": node("Affine", weight=gain * weight, bias=gain * bias),
        "lif": node("LIF", r=np.full(4, 1 / gain), v_threshold=np.ones(4), v_reset=np.zeros(4), **shared),
    }
    exported = Graph({**ends, **hard}, tuple(itertools.pairwise(["input", "fc", "lif", "output"])))
    x = drive(intended, 3)
    native, target = simulate(intended, x, DT), simulate(exported, x, DT)
    assert not np.array_equal(native.output, target.output)
    verdict = explain(intended, x, native, target, exported=exported)
    assert (verdict.codes, verdict.blame, verdict.explained) == (("reset_lost",), Blame.EXPORTER, 1.0)
    lost = Graph({**exported.nodes, "fc": node("Affine", weight=gain * weight, bias=bias)}, exported.edges)
    verdict = explain(intended, x, native, simulate(lost, x, DT), exported=lost)
    assert set(verdict.codes) == {"reset_lost", "parameter_lost"}


def test_two_fields_that_differ_are_both_named() -> None:
    pairs = [
        ({"decay": Decay.EXPONENTIAL}, {"reset": ResetKind.SUBTRACT}, {"decay", "reset_kind"}),
        ({"resistance": Use.IGNORED}, {"timing": Timing.NEXT_STEP}, {"resistance_ignored", "reset_late"}),
        ({"leak": LeakUse.ADDED}, {"spike_from": SpikeFrom.PREVIOUS}, {"leak_added", "layer_delay"}),
    ]
    for one, other, codes in pairs:
        graph = network(3)
        x = drive(graph, 3)
        rule = NIR_MEANING.but(**one, **other)
        verdict = explain(graph, x, simulate(graph, x, DT), simulate(graph, x, DT, rule), target=importer(rule))
        assert (set(verdict.codes), verdict.explained) == (codes, 1.0)
        outputs = [share.repaired for share in verdict.causes]
        assert outputs == sorted(outputs, reverse=True)


def test_another_step_on_import_is_the_callers_setting() -> None:
    graph = chain(neuron("LIF", 3, np.random.default_rng(0), 2.0), size=3)
    x = drive(graph, 4)
    rule = NIR_MEANING.but(reset=ResetKind.SUBTRACT)
    target = simulate(graph, x, 5e-4, rule)
    verdict = explain(graph, x, simulate(graph, x, DT), target, target=importer(rule, 5e-4))
    assert (verdict.blame, set(verdict.codes), verdict.explained) == (
        Blame.SETTING_AND_IMPORTER,
        {"dt_requested", "reset_kind"},
        1.0,
    )


def shaped(cause: Cause, seed: int) -> Graph:
    """A graph on which a cause can show."""
    rng = np.random.default_rng(seed)
    cell = node("LIF", tau=1e-3, r=4.0, v_leak=0.0, v_threshold=0.7, v_reset=-0.1)
    conv = node("Conv2d", weight=rng.normal(0.1, 0.6, (2, 2, 3, 3)), bias=[0.2, 0.1], stride=1, padding=1, dilation=1, groups=1)
    if cause is Cause.POOL_PADDING:
        pool = node("SumPool2d", kernel_size=[2, 2], stride=[2, 2], padding=[0, 1])
        nodes = {"input": node("Input", shape=[2, 6, 6]), "conv": conv, "pool": pool, "cell": cell}
        return line(nodes | {"output": node("Output", shape=[2, 3, 4])})
    if cause is Cause.FLATTEN_ORDER:
        dense = node("Affine", weight=rng.normal(0.1, 0.5, (4, 60)), bias=rng.normal(0, 0.2, 4))
        nodes = {"input": node("Input", shape=[2, 6, 5]), "conv": conv, "cell": cell}
        flat = {"flat": node("Flatten", start_dim=0, end_dim=-1), "dense": dense, "last": cell, "output": port("Output", 4)}
        return line(nodes | flat)
    if cause is Cause.FLATTEN_BATCH:
        nodes = {"input": node("Input", shape=[2, 6, 5]), "conv": conv, "cell": cell}
        return line(nodes | {"flat": node("Flatten", start_dim=0, end_dim=-1), "output": port("Output", 60)})
    if cause is Cause.RESET_LOST:
        full = np.ones(3)
        nodes = {"input": port("Input", 3), "dense": node("Affine", weight=rng.normal(0.5, 1, (3, 3)), bias=0.2 * full)}
        nodes["membrane"] = node("LI", tau=1e-3 * full, r=4 * full, v_leak=0 * full)
        nodes |= {"fire": node("Threshold", threshold=0.8 * full), "output": port("Output", 3)}
        nodes["back"] = node("Scale", scale=-0.9 * 0.8 / 0.4 * full)
        path = ["input", "dense", "membrane", "fire", "output"]
        edges = [*itertools.pairwise(path), ("fire", "back"), ("back", "membrane")]
        return Graph(nodes, tuple(edges))
    if cause is Cause.CYCLE_ORDER:
        nodes = {name: node("Linear", weight=rng.normal(0.3, 1, (3, 3))) for name in ("dense", "to", "fro")}
        nodes |= {"input": port("Input", 3), "z": neuron("LIF", 3, rng, 1.5), "a": neuron("LIF", 3, rng, 1.5)}
        path = ["input", "dense", "z", "to", "a", "fro", "z"]
        edges = (*itertools.pairwise(path), ("a", "output"))
        return Graph(nodes | {"output": port("Output", 3)}, edges)
    return network(seed)


def line(nodes: dict[str, Node]) -> Graph:
    names = list(nodes)
    return Graph(nodes, tuple(itertools.pairwise(names)))


OUTSIDE = [cause for cause in PLANTABLE if cause in BY_EXPORTER or cause.value in (
    "dt_default", "cycle_order", "state_carried", "node_dropped", "join_misrun", "recurrence_rewired", "flatten_batch",
    "flatten_order", "pool_padding", "weight_transposed", "bias_dropped",
)]  # fmt: skip


@pytest.mark.parametrize("cause", OUTSIDE, ids=str)
def test_a_fault_of_a_simulator_that_shares_no_code_is_named(cause: Cause) -> None:
    named = wrong = 0
    for seed in range(5):
        graph = shaped(cause, seed)
        x = drive(graph, seed, steps=60)
        faults = frozenset({cause})
        exported = FakeExporter(faults)(graph) if cause in BY_EXPORTER else graph
        backend = FakeBackend(frozenset() if cause in BY_EXPORTER else faults)
        native, target = FakeBackend()(graph, x, DT), observe(backend, exported, x, DT)
        if np.array_equal(native.output, target.output):
            continue
        effective = DEFAULT_DT if cause is Cause.DT_DEFAULT else None
        verdict = explain(graph, x, native, target, exported=exported, dt_effective=effective)
        named += verdict.codes == (str(cause),)
        # Another fault can have the very same spikes at every node: with these seeds once, a join and a node left out.
        assert verdict.explained == 1.0
        wrong += verdict.codes != (str(cause),)
        if verdict.codes == (str(cause),):
            assert verdict.blame is (Blame.EXPORTER if cause in BY_EXPORTER else Blame.IMPORTER)
    assert named
    assert wrong <= (cause is Cause.JOIN_MISRUN)


def test_equal_recordings_have_nothing_to_explain() -> None:
    graph = network(5)
    x = drive(graph, 5)
    native = simulate(graph, x, DT)
    verdict = explain(graph, x, native, native)
    assert (verdict.status, verdict.blame, verdict.codes) == (Status.EXACT, Blame.NONE, ())


def test_a_gain_that_moved_into_the_weights_is_no_fault_of_the_exporter() -> None:
    graph = chain(
        node("Affine", weight=np.eye(3) * 3, bias=np.ones(3)),
        node("LIF", tau=np.full(3, 1e-3), r=np.full(3, 2.0), v_leak=np.zeros(3), v_threshold=np.ones(3), v_reset=np.zeros(3)),
        size=3,
    )
    dense, cell = graph.nodes["n0"], graph.nodes["n1"]
    folded = {
        "n0": node("Affine", weight=dense["weight"] * 2, bias=dense["bias"] * 2),  # type: ignore[index]
        "n1": Node("LIF", {**cell.params, "r": np.ones(3)}),  # type: ignore[union-attr]
    }
    exported = Graph({**graph.nodes, **folded}, graph.edges)
    x = drive(graph, 6)
    rule = NIR_MEANING.but(decay=Decay.EXPONENTIAL)
    verdict = explain(
        graph, x, simulate(graph, x, DT), simulate(exported, x, DT, rule), exported=exported, target=importer(rule)
    )
    assert verdict.codes == ("decay",)


def grazing() -> tuple[Graph, np.ndarray]:
    """Weights on a grid and τ = 2 dt: membranes meet the threshold, and float32 decides otherwise than float64."""
    rng = np.random.default_rng(7)
    cell = lif(8, tau=float(np.float32(2 * DT)))
    dense = [node("Linear", weight=np.float32(rng.integers(-2, 5, (8, 8)) * 0.5)) for _ in range(2)]
    return chain(dense[0], cell, dense[1], cell, size=8), np.float64(rng.random((60, 6, 8)) < 0.4)


def test_single_precision_at_the_threshold_is_proven_to_be_rounding() -> None:
    graph, x = grazing()
    double = simulate(graph, x, DT)
    single = simulate(graph, x, DT, NIR_MEANING.but(precision=Precision.FLOAT32))
    assert np.count_nonzero(double.output != single.output) > 20
    proof = guided(graph, DT, NIR_MEANING, x, single)
    assert proof.proven
    assert proof.guided > 0
    verdict = explain(graph, x, double, single)
    assert (verdict.status, verdict.codes, verdict.blame, verdict.explained) == (
        Status.ROUNDING,
        ("rounding",),
        Blame.NONE,
        1.0,
    )


def test_one_spike_away_from_the_threshold_is_no_rounding() -> None:
    graph, x = grazing()
    single = simulate(graph, x, DT, NIR_MEANING.but(precision=Precision.FLOAT32))
    silent = np.argwhere(single.membranes["n1"] < 0.5)
    place = next(tuple(index) for index in silent if not single.spikes["n1"][tuple(index)])
    spikes = single.spikes["n1"].copy()
    spikes[place] = 1
    planted = replace(single, spikes={**single.spikes, "n1": spikes})
    proof = guided(graph, DT, NIR_MEANING, x, planted)
    assert (proof.proven, proof.wrong) == (False, 1)


def test_values_that_differ_by_rounding_are_rounding_and_by_more_are_not() -> None:
    network_ = catalogue("mlp_readout").build(0)
    graph = from_nir(network_.to_nir())
    x = np.float64(np.random.default_rng(0).random((100, 4, 20)) < 0.3)
    double, single = simulate(graph, x, DT), simulate(graph, x, DT, NIR_MEANING.but(precision=Precision.FLOAT32))
    assert explain(graph, x, double, single).status is Status.ROUNDING
    off = replace(single, outputs={name: values * 1.001 for name, values in single.outputs.items()})
    verdict = explain(graph, x, double, off)
    assert (verdict.status, verdict.codes[-1]) == (Status.MISMATCH, "unexplained")


def test_what_no_rule_and_no_rewrite_reproduces_stays_unexplained() -> None:
    graph = network(8)
    x = drive(graph, 8)
    native = simulate(graph, x, DT)
    noise = np.random.default_rng(1).random(native.output.shape) < 0.2
    target = replace(native, outputs={name: values ^ noise for name, values in native.outputs.items()})
    verdict = explain(graph, x, native, target)
    assert (verdict.codes, verdict.blame, verdict.explained) == (("unexplained",), Blame.UNEXPLAINED, 0.0)


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("v_threshold must be same for all neurons", "threshold_collapsed"),
        ("nir.LIF.r must be uniform across all neurons.", "resistance_collapsed"),
        ("NIR has no max pooling", "not_expressible"),
        ("no such thing", None),
    ],
)
def test_a_failure_has_a_cause_where_its_message_tells(message: str, cause: str | None) -> None:
    graph = network(9)
    x = drive(graph, 9)
    verdict = explain(graph, x, simulate(graph, x, DT), None, failure=RunFailed("refused", "ValueError", message))
    assert verdict.status is Status.REFUSED
    assert verdict.codes == (() if cause is None else (cause,))


def test_a_refused_time_constant_is_the_exporters_who_rewrote_it() -> None:
    graph = network(9)
    exported = FakeExporter(frozenset({Cause.TAU_REWRITTEN}), tau_scale=1e-3)(graph)
    x = drive(graph, 9)
    failure = RunFailed("refused", "ValueError", "tau / dt must be finite and greater than 1")
    verdict = explain(graph, x, simulate(graph, x, DT), None, exported=exported, failure=failure)
    assert (verdict.codes, verdict.blame) == (("tau_rewritten",), Blame.EXPORTER)


def test_a_flatten_that_swallowed_the_batch_is_told_from_the_sizes_of_the_error() -> None:
    graph = shaped(Cause.FLATTEN_ORDER, 0)
    x = drive(graph, 0)
    failure = RunFailed("run_error", "RuntimeError", "mat1 and mat2 shapes cannot be multiplied (1x360 and 60x4)")
    verdict = explain(graph, x, simulate(graph, x, DT), None, failure=failure)
    assert (verdict.codes, verdict.causes[0].nodes) == (("flatten_batch",), ("flat",))


def test_axes_that_do_not_count_for_a_primitive_are_no_causes() -> None:
    odd = NIR_MEANING.but(
        order=Order.MEMBRANE_FIRST, comparison=Comparison.AT_OR_ABOVE, decay=Decay.EULER_CLAMPED, precision=Precision.FLOAT32
    )
    assert causes_between(NIR_MEANING, odd, "LIF") == (("decay", Cause.DECAY_CLAMPED), ("comparison", Cause.COMPARISON))
    assert causes_between(NIR_MEANING, odd, "CubaLI") == (("decay", Cause.DECAY_CLAMPED), ("order", Cause.SYNAPSE_ORDER))
    assert causes_between(NIR_MEANING, odd, "IF") == (("comparison", Cause.COMPARISON),)


def test_the_verdict_of_a_cell_replays_the_stimulus_a_handful_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many seconds that is depends on the machine: ``make bench`` measures it."""
    network_ = catalogue("mlp_gain").build(0)
    graph = from_nir(network_.to_nir())
    x = np.float64(np.random.default_rng(0).random((100, 4, 20)) < 0.3)
    rule = NIR_MEANING.but(resistance=Use.IGNORED, start=Start.LEAK)
    native, target = simulate(graph, x, DT), simulate(graph, x, DT, rule)
    steps: list[int] = []
    run = Simulator.run

    def counted(self: Simulator, stimulus: Array, *arguments: Any, **options: Any) -> Any:
        steps.append(len(stimulus))
        return run(self, stimulus, *arguments, **options)

    monkeypatch.setattr(Simulator, "run", counted)
    assert explain(graph, x, native, target, target=importer(rule)).codes == ("resistance_ignored",)
    assert 1 <= sum(steps) / len(x) <= 4
