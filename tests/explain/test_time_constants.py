"""An exporter that writes τ times the step: it is named with the step, read back, and followed where single precision ends."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from nir_interop.agreement.guided import guided
from nir_interop.agreement.side import Side
from nir_interop.agreement.status import agreement
from nir_interop.compare import assert_same_spikes
from nir_interop.explain.exporting import exporter_changes, times_factor, with_times
from nir_interop.explain.verdict import explain_cell
from nir_interop.graphs import Graph, Node, from_nir
from nir_interop.networks import catalogue
from nir_interop.reconcile.passes import PASSES
from nir_interop.reconcile.planner import reconcile
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING
from nir_interop.transfer.rewriting import settled
from nir_interop.verdict import Verdict
from nir_interop.vocabulary import Blame, Cause, Status
from tests.strategies import DT, chain, cuba_lif, lif, node, port

Array = np.ndarray
FULL = np.ones(4)


def neurons(tau: float) -> Node:
    return lif(4, tau=tau)


def meant_and_written(factor: float = DT, cell: Callable[[float], Node] | None = None) -> tuple[Graph, Graph, Array]:
    """One layer of neurons, as it was meant and with its time constants times a factor; and its input (T, B, 4)."""
    cell = cell or neurons
    dense = node("Affine", weight=np.random.default_rng(3).normal(6, 4, (4, 4)), bias=np.full(4, 0.5))
    x = np.random.default_rng(4).binomial(1, 0.4, (40, 3, 4)).astype(np.float64)
    return chain(dense, cell(10 * DT), size=4), chain(dense, cell(factor * 10 * DT), size=4), x


def cuba(tau: float) -> Node:
    return cuba_lif(4, tau_syn=5 * tau, tau_mem=10 * tau, w_in=5.0)


def stepped(graph: Graph, x: Array) -> Recording:
    """As Norse steps a CubaLIF: i + dt/τ·(x − i) in single precision, which is not-a-number once that was too large."""
    weight, bias, cell = graph.nodes["n0"]["weight"], graph.nodes["n0"]["bias"], graph.nodes["n1"]  # type: ignore[index]
    faster, slower = (np.float32(DT) / np.float32(cell[name]) for name in ("tau_syn", "tau_mem"))  # type: ignore[index]
    (i, v), spikes = np.zeros((2, x.shape[1], 4), np.float32), []
    with np.errstate(over="ignore", invalid="ignore"):
        for frame in np.float32(x):
            i = i + faster * (np.float32(5) * (frame @ np.float32(weight).T + np.float32(bias)) - i)
            v = v + slower * (i - v)
            fired = v > 1
            v = np.where(fired, np.float32(0), v)
            spikes.append(fired)
    output = np.array(spikes, dtype=np.uint8)
    return Recording({"output": output}, {"n1": output})


def explained(meant: Graph, written: Graph, x: Array, target: Recording) -> Verdict:
    return explain_cell(
        intended=meant, exported=written, source=Side("the source", DT), target=Side("the importer", DT),
        native=simulate(meant, x, DT), made=target, stimulus=x,
    )  # fmt: skip


def test_a_tau_times_the_step_is_the_exporters_and_says_so() -> None:
    meant, written, x = meant_and_written()
    verdict = explained(meant, written, x, simulate(written, x, DT))
    assert (verdict.codes, verdict.blame, verdict.explained) == (("tau_rewritten",), Blame.EXPORTER, 1.0)
    assert verdict.causes[0].text.endswith("what was meant times dt = 0.0001")
    other = explained(meant, with_times(meant, 0.3), x, simulate(with_times(meant, 0.3), x, DT))
    assert other.codes == ("tau_rewritten",)
    assert "times dt" not in other.causes[0].text


def test_what_becomes_of_numbers_beyond_single_precision_is_followed_and_is_no_rounding() -> None:
    meant, written, x = meant_and_written(cell=cuba)
    target = stepped(written, x)
    assert np.count_nonzero(target.output != simulate(written, x, DT).output) > 20
    proof = guided(written, DT, NIR_MEANING, x, target)
    assert proof.proven and proof.beyond > 20 and not proof.rounds
    assert agreement(written, DT, {}, x, simulate(written, x, DT), target).status is Status.MISMATCH
    verdict = explained(meant, written, x, target)
    assert (verdict.codes, verdict.blame, verdict.explained) == (("tau_rewritten",), Blame.EXPORTER, 1.0)


def test_a_spike_within_single_precision_is_still_nobodys_rounding() -> None:
    meant, _, x = meant_and_written(cell=cuba)
    target = stepped(meant, x)
    assert_same_spikes(target.output, simulate(meant, x, DT).output)
    spikes = target.spikes["n1"].copy()
    spikes[0, 0, 0] ^= 1
    proof = guided(meant, DT, NIR_MEANING, x, Recording({"output": spikes}, {"n1": spikes}))
    assert (proof.proven, proof.beyond) == (False, 0)


@pytest.mark.parametrize("factor", [DT, 1e3, 0.3])
def test_a_graph_whose_times_all_have_one_factor_is_read_at_that_many_steps(factor: float) -> None:
    meant, written, x = meant_and_written(factor)
    assert times_factor(meant, written) == pytest.approx(factor, rel=1e-12)
    native = simulate(meant, x, DT)
    source, lost = settled(written, meant, Side("own", DT), x, native)
    assert lost == ()
    assert source.dt == pytest.approx(factor * DT, rel=1e-12)
    plan = reconcile(written, source, Side("other", DT), x, PASSES, wanted=native)
    assert plan.exact
    assert [each.name for each in plan.passes] == ["same_decay"]


def test_times_of_several_factors_are_read_as_they_are() -> None:
    meant = from_nir(catalogue("mlp_cuba").build(0).to_nir())
    nodes = dict(meant.primitives())
    one = nodes["lif1"]
    written = Graph({**nodes, "lif1": Node(one.kind, {**one.params, "tau_mem": one["tau_mem"] * DT})}, meant.edges)
    assert times_factor(meant, written) == 1
    assert times_factor(meant, meant) == 1
    assert times_factor(meant, with_times(meant, 1 + 1e-7)) == 1, "single precision"


def test_a_soft_reset_that_is_lost_hides_no_tau() -> None:
    """mlp_subtract in Norse: the composition becomes a LIF, and its τ is multiplied too."""
    full = np.ones(4)
    ends = {"input": port("Input", 4), "output": port("Output", 4), "fc": node("Affine", weight=5 * np.eye(4), bias=full)}
    soft = {
        "membrane": node("LI", tau=10 * DT * full, r=full, v_leak=0 * full),
        "lif": node("Threshold", threshold=full),
        "reset": node("Scale", scale=-9 * full),
    }
    loop = (("membrane", "lif"), ("lif", "reset"), ("reset", "membrane"))
    meant = Graph({**ends, **soft}, (("input", "fc"), ("fc", "membrane"), *loop, ("lif", "output")))
    path = tuple(itertools.pairwise(["input", "fc", "lif", "output"]))
    for factor, changes in ((1.0, {Cause.RESET_LOST}), (DT, {Cause.RESET_LOST, Cause.TAU_REWRITTEN})):
        written = Graph({**ends, "lif": neurons(factor * 10 * DT)}, path)
        assert {*exporter_changes(meant, written, DT)} == changes
        assert times_factor(meant, written) == pytest.approx(factor, rel=1e-12)
