"""A rewriting that is further from the source than the graph as it is: the graph stays, and the reason is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nir_interop.agreement.inputs import InputSet
from nir_interop.agreement.side import Side
from nir_interop.errors import NotReconciled, RunFailed
from nir_interop.fingerprint import Domain, Identified
from nir_interop.graphs import Array, Graph, digest
from nir_interop.interface.results import Reconciliation
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, Decay, UpdateRule, Use
from nir_interop.transfer.case import Case
from nir_interop.transfer.reconciling import reconcile_with
from nir_interop.transfer.rewriting import rewrite
from tests.strategies import DT, chain, lif, node

SIZE = 3
ONE = NIR_MEANING.but(resistance=Use.IGNORED)
RULE = ONE.but(decay=Decay.EXPONENTIAL)
SOURCE = Side("nir", DT)
X = np.random.default_rng(1).binomial(1, 0.5, (60, 4, SIZE)).astype(np.float32)
WEIGHT = np.random.default_rng(0).normal(1.0, 1.0, (SIZE, SIZE))
GRAPH = chain(node("Linear", weight=WEIGHT), lif(SIZE, tau=8 * DT, r=4.0), size=SIZE)


class Whimsical:
    """A target that means what NIR says, against what is believed of it; of its outputs some share is wrong."""

    def __init__(self, as_it_is: float, rewritten: float) -> None:
        self.shares = {False: as_it_is, True: rewritten}

    def __call__(self, graph: Graph, stimulus: Array, dt: float) -> Recording:
        share = self.shares[digest(graph) != digest(GRAPH)]
        if share == 1:
            raise RunFailed("run_error", "ValueError", "no")
        made = simulate(graph, stimulus, dt)
        return Recording({"output": made.output.astype(bool) ^ (np.random.default_rng(2).random(made.output.shape) < share)})


def wrong(run: Whimsical, graph: Graph) -> int:
    meant = simulate(GRAPH, X, DT).output.astype(bool)
    return int((run(graph, X, DT).output != meant).sum())


def side(rule: UpdateRule) -> Side:
    return Side("target", DT, {"LIF": rule}, Domain({"LIF": Identified(rule, 100)}))


@pytest.mark.parametrize(("after", "words"), [(0.3, "outputs differ"), (1, "it gives no output to compare")])
@pytest.mark.parametrize(("rule", "passes"), [(ONE, "fold_resistance"), (RULE, "same_decay, fold_resistance")])
def test_what_is_measured_to_be_further_from_the_source_is_not_taken(
    rule: UpdateRule, passes: str, after: float, words: str, tmp_path: Path
) -> None:
    run = Whimsical(0.02, after)
    found = reconcile_with(run, GRAPH, X, SOURCE, side(rule))  # type: ignore[arg-type]
    as_it_is = wrong(run, GRAPH)
    assert as_it_is > 0 and (found.before, found.plan.wrong, found.plan.passes) == (as_it_is, as_it_is, ())
    assert digest(found.plan.graph) == digest(GRAPH)
    assert found.kept.startswith(f"rewritten by {passes}, ") and words in found.kept
    assert found.kept.endswith(f", and {as_it_is} as it is: the graph stays as it is") and "\n" not in found.kept
    assert found.as_dict()["kept"] == found.kept
    shown = Reconciliation(found, InputSet(X, ()), None, frozenset(GRAPH.nodes))
    assert f"- {found.kept}" in shown.lines()
    with pytest.raises(NotReconciled):
        shown.write(tmp_path / "out.nir")
    assert not (tmp_path / "out.nir").exists()


@pytest.mark.parametrize("rule", [ONE, RULE])
def test_a_cell_of_the_matrix_has_the_graph_as_it_is_there(rule: UpdateRule) -> None:
    run = Whimsical(0.02, 0.3)
    made = rewrite(Case(GRAPH, X, SOURCE, side(rule), recorded=simulate(GRAPH, X, DT)), run)
    assert (made.plan.passes, made.plan.wrong) == ((), wrong(run, GRAPH))
    assert "the graph stays as it is" in made.kept


@pytest.mark.parametrize(("before", "after"), [(0.3, 0.02), (1, 0.02), (0.3, 0.0)])
def test_what_is_nearer_is_taken_though_it_may_not_be_right(before: float, after: float) -> None:
    for found in (
        reconcile_with(Whimsical(before, after), GRAPH, X, SOURCE, side(ONE)),  # type: ignore[arg-type]
        rewrite(Case(GRAPH, X, SOURCE, side(ONE), recorded=simulate(GRAPH, X, DT)), Whimsical(before, after)),
    ):
        assert ([each.name for each in found.plan.passes], found.kept) == (["fold_resistance"], "")
        assert found.plan.right is (after == 0)
