"""The planner: passes are applied in order, checked against the source, and dropped where the target does without."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.compare import assert_same_spikes
from nir_interop.errors import RunFailed
from nir_interop.fingerprint import Domain, Identified
from nir_interop.graphs import Array, Graph, Node
from nir_interop.reconcile.model import Pass, Refused, Rewritten
from nir_interop.reconcile.planner import PATIENCE, reconcile
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Start, Use
from nir_interop.vocabulary import Cause, Status
from tests.strategies import DT, chain, lif, node

SIZE = 3
IGNORES = Side("norse", DT, {"LIF": NIR_MEANING.but(resistance=Use.IGNORED)})
NIR = Side("nir", DT)


def graph(r: float = 4.0) -> Graph:
    rng = np.random.default_rng(0)
    return chain(node("Linear", weight=rng.normal(1.0, 1.0, (SIZE, SIZE))), lif(SIZE, tau=8 * DT, r=r), size=SIZE)


def stimulus(seed: int = 1) -> Array:
    return np.random.default_rng(seed).binomial(1, 0.5, (60, 4, SIZE)).astype(np.float32)


def folded(content: Graph, source: Side, target: Side) -> Rewritten | None:
    """r · W of a chain of one layer."""
    if target.rule("LIF").resistance is not Use.IGNORED:
        return None
    dense, lif = content.nodes["n0"], content.nodes["n1"]
    weight = Node("Linear", {"weight": dense["weight"] * lif["r"][:, None]})
    plain = Node("LIF", {**lif.params, "r": np.ones(SIZE)})
    return Rewritten(Graph({**content.nodes, "n0": weight, "n1": plain}, content.edges), ("n1",), "r goes into the weights")


def same(content: Graph, source: Side, target: Side) -> Rewritten | None:
    return Rewritten(Graph(dict(content.nodes), content.edges), ("n0",), "written once more")


def declined(content: Graph, source: Side, target: Side) -> Rewritten | None:
    raise Refused(Cause.START, ("n1",), "the membrane starts elsewhere")


FOLD = Pass("fold_resistance", ("resistance",), frozenset({Cause.RESISTANCE_IGNORED}), "spikes", folded)
SAME = Pass("same", (), frozenset(), "everything", same)
DECLINED = Pass("declined", ("start",), frozenset({Cause.START}), "spikes", declined)


def spoilt(content: Graph, source: Side, target: Side) -> Rewritten | None:
    weight = Node("Linear", {"weight": content.nodes["n0"]["weight"] * 3})
    return Rewritten(Graph({**content.nodes, "n0": weight}, content.edges), ("n0",), "a rule that the target does not have")


SPOILT = Pass("spoilt", ("gain",), frozenset({Cause.GAIN}), "nothing", spoilt)
NIR_BUT_SHY = Side("shy", DT, {"LIF": NIR_MEANING.but(start=Start.LEAK)})


def target_of(side: Side) -> object:
    def run(content: Graph, x: Array, dt: float) -> Recording:
        return simulate(content, x, dt, side.rules)

    return run


def test_a_pass_makes_up_for_what_the_target_ignores_and_its_input_stays() -> None:
    original = graph()
    before = {name: {key: value.copy() for key, value in each.params.items()} for name, each in original.nodes.items()}
    plan = reconcile(original, NIR, IGNORES, stimulus(), (FOLD,))
    assert ([each.name for each in plan.passes], plan.predicted, plan.exact) == (["fold_resistance"], 0, True)
    assert reconcile(original, NIR, IGNORES, stimulus(), ()).predicted
    for name, params in before.items():
        assert all(np.array_equal(original.nodes[name][key], value) for key, value in params.items())


def test_a_pass_that_the_target_does_without_is_dropped() -> None:
    plan = reconcile(graph(), NIR, IGNORES, stimulus(), (SAME, FOLD), run=target_of(IGNORES))  # type: ignore[arg-type]
    assert ([each.name for each in plan.passes], plan.measured) == (["fold_resistance"], 0)


def test_what_the_rules_say_differs_is_rewritten_though_the_input_is_silent_about_it() -> None:
    silence = np.zeros((20, 2, SIZE), np.float32)
    plan = reconcile(graph(), NIR, IGNORES, silence, (SAME, FOLD), run=target_of(IGNORES))  # type: ignore[arg-type]
    assert ([each.name for each in plan.passes], plan.right) == (["fold_resistance"], True)
    other = np.random.default_rng(5).binomial(1, 0.7, (200, 3, SIZE)).astype(np.float32)
    assert_same_spikes(simulate(plan.graph, other, DT, IGNORES.rules).output, simulate(graph(), other, DT).output)


def test_a_pass_with_which_the_target_is_wrong_and_without_it_right_is_left_out() -> None:
    plan = reconcile(graph(1.0), NIR, NIR_BUT_SHY, stimulus(), (SPOILT, FOLD), run=target_of(NIR))  # type: ignore[arg-type]
    assert (plan.passes, plan.right) == ((), True)


def test_a_pass_is_kept_where_a_neuron_goes_wrong_without_it_though_no_output_shows_that() -> None:
    def run(content: Graph, x: Array, dt: float) -> Recording:
        found = simulate(content, x, dt)
        if "written" in content.metadata:
            return found
        return Recording(found.outputs, {name: 1 - spikes for name, spikes in found.spikes.items()})

    def written(content: Graph, source: Side, target: Side) -> Rewritten | None:
        return Rewritten(Graph(dict(content.nodes), content.edges, {"written": "once more"}), ("n1",), "it is misrun")

    pass_ = Pass("written", (), frozenset(), "everything", written)
    target = Side("one", DT, domain=Domain({"LIF": Identified(NIR_MEANING, 10, 0)}))
    plan = reconcile(graph(1.0), NIR, target, stimulus(), (pass_,), run=run)
    assert ([each.name for each in plan.passes], plan.exact) == (["written"], True)


def test_what_a_pass_refuses_remains_with_its_reason() -> None:
    late = Side("late", DT, {"LIF": NIR_MEANING.but(start=Start.LEAK, resistance=Use.IGNORED)})
    plan = reconcile(graph(), NIR, late, stimulus(), (DECLINED, FOLD))
    (left,) = plan.remaining
    assert (left.cause, left.nodes, left.why) == (Cause.START, ("n1",), "the membrane starts elsewhere")


def test_a_target_that_gives_nothing_is_not_exact_whatever_is_predicted() -> None:
    def run(content: Graph, x: Array, dt: float) -> Recording:
        raise RunFailed("import_error", "KeyError", "n0")

    plan = reconcile(graph(), NIR, IGNORES, stimulus(), (FOLD,), run=run)
    assert (plan.predicted, plan.measured, plan.exact) == (0, None, False)


@pytest.mark.parametrize("seed", range(3))
def test_a_recording_of_the_source_counts_before_its_rules(seed: int) -> None:
    x = stimulus(seed)
    wanted = simulate(graph(2.0), x, DT)
    plan = reconcile(graph(4.0), NIR, IGNORES, x, (FOLD,), wanted=wanted)
    assert plan.predicted == int((simulate(graph(4.0), x, DT).output != wanted.output).sum())
    assert plan.predicted > 0


def test_a_target_that_does_not_come_back_is_not_waited_for_with_every_choice_of_passes() -> None:
    asked = []

    def run(content: Graph, x: Array, dt: float) -> Recording:
        asked.append(content)
        raise RunFailed(Status.TIMEOUT.value, "", "no answer within 30 s")

    plan = reconcile(graph(), NIR, IGNORES, stimulus(), (SAME, FOLD, DECLINED), run=run)
    assert len(asked) == PATIENCE
    assert isinstance(plan.answer, RunFailed) and plan.answer.status == Status.TIMEOUT
    assert (plan.measured, plan.right) == (None, False)
