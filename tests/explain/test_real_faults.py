"""Faults that the three libraries have today, each on a small graph: the verdict names that one, and it explains every output.

A library that mends one fails its test here, and gains a line in the changelog.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.explain.verdict import explain_cell
from nir_interop.graphs import Array, Graph, Node
from nir_interop.reference import simulate
from nir_interop.verdict import Verdict
from nir_interop.vocabulary import Blame, Cause
from tests.known import fingerprint_of, running
from tests.strategies import chain, cuba_lif, lif, node, port

DT = 1e-4
SIZE = 4
Build = Callable[[np.random.Generator], Graph]


@dataclass(frozen=True)
class Fault:
    """What a library does, on which graph at which step it shows, and as what."""

    library: str
    says: str
    causes: Cause | tuple[Cause, ...]
    build: Build
    dt: float = DT
    shape: tuple[int, ...] = (SIZE,)


def dense(rng: np.random.Generator, out: int = SIZE, into: int = SIZE) -> Node:
    return node("Affine", weight=rng.normal(0.6, 1.0, (out, into)), bias=rng.normal(0.3, 0.2, out))


def leaky(dt: float = DT, **given: float | np.ndarray) -> Node:
    return lif(SIZE, **{"tau": 10 * dt, "v_threshold": 0.2, **given})


def cuba(**given: float) -> Node:
    return cuba_lif(SIZE, **{"tau_mem": 10 * DT, "tau_syn": 5 * DT, "r": 10.0, "w_in": 5.0, "v_threshold": 2.0, **given})


def one(neuron: Node) -> Build:
    return lambda rng: chain(dense(rng), neuron, size=SIZE)


def between(middle: Node) -> Build:
    return lambda rng: chain(dense(rng), leaky(), middle, dense(rng), leaky(), size=SIZE)


def join(rng: np.random.Generator) -> Graph:
    ends = {"input": port("Input", SIZE), "output": port("Output", SIZE)}
    nodes = ends | {"left": dense(rng), "right": dense(rng), "lif": leaky()}
    return Graph(nodes, (("input", "left"), ("input", "right"), ("left", "lif"), ("right", "lif"), ("lif", "output")))


def recurrent(bias: float) -> Build:
    def build(rng: np.random.Generator) -> Graph:
        ends = {"input": port("Input", SIZE), "output": port("Output", SIZE)}
        weight = rng.normal(0.0, 0.5, (SIZE, SIZE))
        back = node("Affine", weight=weight, bias=np.full(SIZE, bias)) if bias else node("Linear", weight=weight)
        nodes = ends | {"into": dense(rng), "lif": leaky(tau=2 * DT), "back": back}
        return Graph(nodes, (("input", "into"), ("into", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "output")))

    return build


def flattened(_rng: np.random.Generator) -> Graph:
    nodes = {
        "input": Node("Input", {"shape": np.array([2, 2])}),
        "flatten": Node("Flatten", {"start_dim": np.array(0), "end_dim": np.array(-1)}),
        "output": port("Output", SIZE),
    }
    return Graph(nodes, tuple(zip(list(nodes), list(nodes)[1:], strict=False)))


def pooled(rng: np.random.Generator) -> Graph:
    pool = {"kernel_size": np.array([2, 2]), "stride": np.array([3, 3]), "padding": np.array([1, 1])}
    ends = {"input": Node("Input", {"shape": np.array([1, 5, 5])}), "output": Node("Output", {"shape": np.array([1, 2, 2])})}
    return Graph(ends | {"pool": Node("SumPool2d", pool)}, (("input", "pool"), ("pool", "output")))


THRESHOLD = node("Threshold", threshold=np.full(SIZE, 2.0))
TAUS = DT * np.array([5.0, 8.0, 12.0, 20.0])
FAULTS = (
    Fault("norse", "ignores r", Cause.RESISTANCE_IGNORED, one(leaky(r=3.0))),
    Fault("norse", "ignores v_reset", Cause.RESET_VALUE_IGNORED, one(leaky(v_reset=-0.4))),
    Fault("norse", "starts at v_leak", Cause.START, one(leaky(v_leak=0.15))),
    Fault("norse", "gives v_leak to the synapse", (Cause.LEAK_ON_SYNAPSE, Cause.START), one(cuba(v_leak=0.3))),
    Fault(
        "norse",
        "drops Threshold, and the layers on one side of it",
        Cause.NODE_DROPPED,
        between(THRESHOLD),
    ),
    Fault("norse", "returns one branch of a join", Cause.JOIN_MISRUN, join),
    Fault("norse", "lacks a recurrent bias at t = 0", Cause.FEEDBACK_BIAS_AT_START, recurrent(-0.8)),
    Fault("norse", "swallows the batch in Flatten", Cause.FLATTEN_BATCH, flattened, shape=(2, 2)),
    Fault("snntorch", "sends the input through the recurrent weights", Cause.RECURRENCE_REWIRED, recurrent(0.0)),
    Fault("snntorch", "takes 1e-4 s whatever it is given", Cause.DT_FIXED, one(leaky(1e-3)), 1e-3),
    Fault("snntorch", "scales all neurons by one r dt/tau", Cause.RESISTANCE_COLLAPSED, one(leaky(tau=TAUS))),
    Fault("snntorch", "resets to 0", Cause.RESET_VALUE_IGNORED, one(leaky(v_reset=-0.4))),
    Fault("snntorch", "clamps the decay", Cause.DECAY_CLAMPED, one(leaky(tau=0.6 * DT))),
    Fault("snntorch", "ignores the padding of SumPool2d", Cause.POOL_PADDING, pooled, shape=(1, 5, 5)),
    Fault("spikingjelly", "starts at v_reset", Cause.START, one(leaky(v_leak=-0.15, v_reset=-0.15))),
    Fault("spikingjelly", "lacks a recurrent bias at t = 0", Cause.FEEDBACK_BIAS_AT_START, recurrent(-0.8)),
)


def explained(fault: Fault, seed: int = 0) -> Verdict:
    rng = np.random.default_rng(seed)
    graph = fault.build(rng)
    stimulus: Array = rng.binomial(1, 0.4, (60, 5, *fault.shape)).astype(np.float32)
    made = running(fault.library)(graph, stimulus, fault.dt)
    return explain_cell(
        intended=graph,
        exported=graph,
        source=Side("NIR", fault.dt),
        target=Side(fault.library, fault.dt, fingerprint_of(fault.library).by_primitive()),
        native=simulate(graph, stimulus, fault.dt),
        made=made,
        stimulus=stimulus,
    )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.library} {fault.says}")
def test_a_fault_of_a_library_is_named_and_explains_every_output(fault: Fault) -> None:
    verdict = explained(fault)
    named = fault.causes if isinstance(fault.causes, tuple) else (fault.causes,)
    assert tuple(share.cause for share in verdict.causes) == named, verdict
    assert verdict.blame is Blame.IMPORTER
    assert verdict.explained == 1
    assert verdict.causes[0].repaired > 0


def test_the_sentence_says_which_value_is_ignored_and_what_it_comes_to() -> None:
    (share,) = explained(FAULTS[0]).causes
    assert share.text == "norse ignores r (here 3), where NIR uses r: LIF gets 0.3333 times its input"


def test_a_membrane_that_meets_its_threshold_tells_at_or_above_from_above() -> None:
    """SpikingJelly fires where v = threshold; at tau = 2 dt and weights on a half grid that is often."""
    dt = 2.0**-13
    rng = np.random.default_rng(3)
    weight = rng.integers(-2, 5, (SIZE, SIZE)) / 2
    neuron = leaky(tau=2 * dt, r=1.0, v_threshold=1.0)
    graph = chain(node("Linear", weight=weight), neuron, size=SIZE)
    stimulus = rng.binomial(1, 0.5, (60, 5, SIZE)).astype(np.float32)
    run = running("spikingjelly")
    made = run(graph, stimulus, dt)
    verdict = explain_cell(
        intended=graph,
        exported=graph,
        source=Side("NIR", dt),
        target=Side("spikingjelly", dt, fingerprint_of("spikingjelly").by_primitive()),
        native=simulate(graph, stimulus, dt),
        made=made,
        stimulus=stimulus,
    )
    assert (verdict.codes, verdict.explained) == (("comparison",), 1)
