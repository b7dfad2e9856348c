"""What a cause is said to repair is what undoing it alone repairs, counted here by runs of the simulator of their own."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.explain.verdict import explain_cell
from nir_interop.fingerprint import Domain, Identified
from nir_interop.graphs import NEURONS, Graph, Node
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Axis, Decay, FeedbackBias, Gain, ResetKind, Start, UpdateRule, Use
from nir_interop.verdict import Verdict
from nir_interop.vocabulary import Blame, Cause, Status
from tests.strategies import chain, lif

DT = 1e-4
AXES: dict[str, tuple[Axis, Cause]] = {
    "resistance": (Use.IGNORED, Cause.RESISTANCE_IGNORED),
    "reset": (ResetKind.TO_ZERO, Cause.RESET_VALUE_IGNORED),
    "start": (Start.LEAK, Cause.START),
    "feedback_bias": (FeedbackBias.ABSENT, Cause.FEEDBACK_BIAS_AT_START),
}


def recurrent(seed: int, size: int = 8) -> Graph:
    """A layer that feeds itself through weights with a bias; parameters differ from neuron to neuron."""
    rng = np.random.default_rng(seed)
    cell = {
        "tau": rng.uniform(5e-4, 2e-3, size), "r": rng.uniform(0.7, 1.6, size), "v_leak": rng.uniform(-0.2, 0.2, size),
        "v_threshold": rng.uniform(0.3, 0.6, size), "v_reset": rng.uniform(-0.2, 0.2, size),
    }  # fmt: skip
    nodes = {
        "input": Node("Input", {"shape": np.array([4])}),
        "fc": Node("Affine", {"weight": rng.normal(0.8, 1.5, (size, 4)), "bias": rng.normal(0, 0.2, size)}),
        "cell": Node("LIF", cell),
        "back": Node("Affine", {"weight": rng.normal(0, 0.8, (size, size)), "bias": rng.normal(0.5, 0.5, size)}),
        "output": Node("Output", {"shape": np.array([size])}),
    }
    return Graph(nodes, (("input", "fc"), ("fc", "cell"), ("cell", "back"), ("back", "cell"), ("cell", "output")))


def spikes(seed: int, steps: int = 60, batch: int = 5, size: int = 4) -> np.ndarray:
    return np.float64(np.random.default_rng(seed).random((steps, batch, size)) < 0.4)


def every(rule: UpdateRule) -> dict[str, UpdateRule]:
    return dict.fromkeys(NEURONS, rule)


def explain(graph: Graph, x: np.ndarray, native: Recording, made: Recording | None, **given: object) -> Verdict:
    cell: dict[str, object] = {
        "intended": None, "exported": graph, "source": Side("the source", DT), "target": importer(), "native": native,
        "made": made, "stimulus": x,
    }  # fmt: skip
    return explain_cell(**(cell | given))  # type: ignore[arg-type]


def importer(rule: UpdateRule = NIR_MEANING, dt: float = DT) -> Side:
    return Side("the importer", dt, every(rule))


@pytest.mark.parametrize("seed", range(4))
def test_the_numbers_are_those_of_undoing_one_cause_alone(seed: int) -> None:
    graph, x = recurrent(seed), spikes(seed)
    rule = NIR_MEANING.but(**{axis: value for axis, (value, _) in AXES.items()})
    meant, made = simulate(graph, x, DT), simulate(graph, x, DT, rule)
    wrong = meant.output != made.output
    assert wrong.any()
    verdict = explain(graph, x, meant, made, target=importer(rule))
    assert verdict.explained == 1.0
    expected = {}
    for axis, (_, cause) in AXES.items():
        mended = simulate(graph, x, DT, rule.but(**{axis: getattr(NIR_MEANING, axis)})).output
        expected[cause] = (int((wrong & (mended == meant.output)).sum()), int((mended != made.output).sum()))
    found = {each.cause: (each.repaired, each.changed) for each in verdict.causes}
    assert found == {cause: counts for cause, counts in expected.items() if cause in found}
    assert {cause for cause, (repaired, _) in expected.items() if repaired} <= found.keys()
    assert all(repaired <= wrong.sum() for repaired, _ in found.values())
    order = [(each.repaired, each.changed) for each in verdict.causes]
    assert order == sorted(order, reverse=True)


def driven(strength: float, **params: float) -> tuple[Graph, np.ndarray]:
    """Three neurons, each with an input of its own, and spikes."""
    return chain(lif(**{"tau": 1e-3, "v_threshold": 0.3, **params}), size=3), strength * spikes(0, size=3)


def test_causes_that_repair_nothing_alone_are_named_where_not_all_can_be_repaired_without_them() -> None:
    graph, x = driven(0.02, r=1e3)  # silent for either reason
    rule = NIR_MEANING.but(gain=Gain.ONE, resistance=Use.IGNORED)
    verdict = explain(graph, x, simulate(graph, x, DT), simulate(graph, x, DT, rule), target=importer(rule))
    assert {each.cause: each.repaired for each in verdict.causes} == {Cause.GAIN: 0, Cause.RESISTANCE_IGNORED: 0}
    assert verdict.explained == 1.0


def test_a_difference_that_nothing_depends_on_is_no_cause() -> None:
    graph, x = driven(0.5)
    rule = NIR_MEANING.but(gain=Gain.ONE, start=Start.RESET)  # v_reset is where the membrane starts anyhow
    meant, made = simulate(graph, x, DT), simulate(graph, x, DT, rule)
    verdict = explain(graph, x, meant, made, target=importer(rule))
    assert verdict.codes == ("gain",)
    assert verdict.causes[0].repaired == np.count_nonzero(meant.output != made.output)


def skip() -> Graph:
    """A layer, and a skip past it into a second one."""
    rng, cell = np.random.default_rng(3), lif(tau=1e-3, r=8.0, v_threshold=0.4)
    nodes = {
        "input": Node("Input", {"shape": np.array([4])}),
        "first": Node("Linear", {"weight": rng.normal(0.5, 1, (3, 4))}),
        "one": cell,
        "mix": Node("Linear", {"weight": rng.normal(0.5, 1, (3, 3))}),
        "skip": Node("Affine", {"weight": rng.normal(0.5, 1, (3, 4)), "bias": rng.normal(0, 1, 3)}),
        "two": cell,
        "output": Node("Output", {"shape": np.array([3])}),
    }
    edges = (
        ("input", "first"), ("first", "one"), ("one", "mix"), ("mix", "two"), ("input", "skip"), ("skip", "two"),
        ("two", "output"),
    )  # fmt: skip
    return Graph(nodes, edges)


def test_a_node_that_was_recorded_ran_and_is_not_said_to_be_left_out() -> None:
    graph, x = skip(), spikes(1)
    meant = simulate(graph, x, DT)
    late = np.concatenate([np.zeros_like(x[:1]), x[:-1]])
    weight, bias = (graph.nodes["skip"][name] for name in ("weight", "bias"))  # type: ignore[index]
    # In turn: first, one, mix, two (which hears what skip gave a step before), then skip, whose answer is returned.
    of_skip = x @ weight.T + bias
    delayed = np.concatenate([np.zeros_like(of_skip[:1]), (late @ weight.T + bias)[1:]])
    two = _lif(meant.spikes["one"] @ graph.nodes["mix"]["weight"].T + delayed, graph.nodes["two"])  # type: ignore[index]
    made = Recording({"output": of_skip}, {"one": meant.spikes["one"], "two": two})
    verdict = explain(graph, x, meant, made)
    assert (verdict.codes, verdict.blame, verdict.explained) == (("join_misrun",), Blame.IMPORTER, 1.0)
    assert "the output of skip, which is run last, is returned" in verdict.causes[0].text


def _lif(x: np.ndarray, node: Node) -> np.ndarray:
    """Forward Euler, reset to 0 in the step of the spike."""
    v, spikes_ = np.zeros(x.shape[1:]), np.zeros_like(x)
    for t in range(len(x)):
        v = v + DT / node["tau"] * (node["r"] * x[t] - v)
        spikes_[t] = v > node["v_threshold"]
        v = np.where(v > node["v_threshold"], 0.0, v)
    return spikes_


def test_of_several_outputs_one_is_given() -> None:
    graph = skip()
    edges = tuple(edge for edge in graph.edges if edge[1] != "output")
    ends = {"mine": Node("Output", {"shape": np.array([3])}), "yours": Node("Output", {"shape": np.array([3])})}
    nodes = {name: node for name, node in graph.nodes.items() if name != "output"} | ends
    graph, x = Graph(nodes, (*edges, ("one", "mine"), ("two", "yours"))), spikes(2)
    meant = simulate(graph, x, DT)
    made = Recording({"output": meant.outputs["yours"]}, meant.spikes)
    verdict = explain(graph, x, meant, made)
    assert (verdict.status, verdict.codes, verdict.explained) == (Status.WRONG_SHAPE, ("node_dropped",), 1.0)
    (cause,) = verdict.causes
    assert (cause.nodes, cause.text) == (("mine",), "of the 2 Outputs one is given: what two gives")
    assert cause.repaired == meant.output.size


def test_a_rule_that_does_not_reproduce_its_evidence_is_not_built_on() -> None:
    graph, x = skip(), spikes(4)
    closest = Identified(NIR_MEANING.but(gain=Gain.ONE), outputs=1000, mismatched=130)
    assert not closest.known
    meant = simulate(graph, x, DT)
    noise = np.random.default_rng(0).random(meant.output.shape) < 0.3
    made = Recording({"output": meant.output != noise}, meant.spikes)
    verdict = explain(graph, x, meant, made, target=Side("the importer", DT, domain=Domain({"LIF": closest})))
    (cause,) = verdict.causes
    assert (cause.cause, verdict.blame) == (Cause.UNEXPLAINED, Blame.IMPORTER)
    assert cause.nodes == ("one", "two")
    assert cause.text == "LIF: no rule found: the closest differs in 130 of 1000 outputs"


def test_an_integrator_that_leaks_is_told_as_one() -> None:
    full = np.ones(3)
    nodes = {
        "input": Node("Input", {"shape": np.array([3])}),
        "cell": Node("IF", {"r": full, "v_threshold": 2 * full, "v_reset": 0 * full}),
        "output": Node("Output", {"shape": np.array([3])}),
    }
    graph, x = Graph(nodes, (("input", "cell"), ("cell", "output"))), spikes(5, size=3)
    rule = NIR_MEANING.but(decay=Decay.NINE_TENTHS)
    made = np.zeros(x.shape)
    v = np.zeros(x.shape[1:])
    for t in range(len(x)):
        v = 0.9 * v + x[t]
        made[t] = v > 2
        v = np.where(v > 2, 0.0, v)
    meant = simulate(graph, x, 1.0)
    verdict = explain(
        graph, x, meant, Recording({"output": made}, {"cell": made}), source=Side("the source", 1.0), target=importer(rule, 1.0)
    )
    assert (verdict.codes, verdict.explained) == (("decay",), 1.0)
    text = verdict.causes[0].text
    assert "keeps 0.9 of a membrane in a step" in text and "adds up" in text
    assert "0.9 of a membrane survives a step, not 1" in text
