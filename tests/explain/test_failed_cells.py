"""Cells without a recording: whose deed it is, from the stage, the graph and the library's domain."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.agreement.side import Side
from nir_interop.errors import RunFailed
from nir_interop.explain.failed_cells import attributed, without_graph, without_meaning
from nir_interop.explain.verdict import explain_cell
from nir_interop.fingerprint import (
    Condition,
    Domain,
    Form,
    Identified,
    Nesting,
    Recurrence,
    Refusal,
    Subject,
    Wiring,
    Written,
)
from nir_interop.graphs import Graph, Node, nest
from nir_interop.recording import Recording
from nir_interop.rule import NIR_MEANING
from nir_interop.verdict import CauseShare, Verdict
from nir_interop.vocabulary import Blame, Cause, Stage, Status
from tests.conditions import OFF, at, spread
from tests.strategies import lif, port


def graph(**params: float) -> Graph:
    return Graph(
        {"input": port("Input", 2), "lif": lif(2, **params), "output": port("Output", 2)}, (("input", "lif"), ("lif", "output"))
    )


def test_what_nir_cannot_say_is_the_format_s() -> None:
    verdict = without_graph(RunFailed("refused", "NotExpressible", "NIR has no max pooling"), Stage.BUILD)
    assert (verdict.status, verdict.blame, verdict.codes) == (Status.REFUSED, Blame.FORMAT, ("not_expressible",))
    assert verdict.causes[0].text == "NotExpressible: NIR has no max pooling"


def test_a_network_that_a_library_cannot_hold_is_the_builder_s_and_a_failed_export_the_exporter_s() -> None:
    refused = RunFailed("refused", "CannotBuild", "no module for sum pooling")
    assert without_graph(refused, Stage.BUILD).blame is Blame.BUILDER
    for stage in (Stage.EXPORT, Stage.WRITE):
        verdict = without_graph(RunFailed("write_error", "TypeError", "no scalars"), stage)
        assert (verdict.blame, verdict.codes, verdict.explained) == (Blame.EXPORTER, ("unsupported",), 1.0)


def test_a_library_that_is_not_installed_is_the_caller_s_setting() -> None:
    assert without_graph(RunFailed("env_missing"), Stage.BUILD).blame is Blame.SETTING
    missing = RunFailed("env_missing")
    verdict = attributed(Verdict(Status.ENV_MISSING, Blame.UNEXPLAINED), missing, graph(), Domain())
    assert verdict.blame is Blame.SETTING


def test_a_graph_that_means_nothing_is_the_exporter_s_whoever_refuses_it() -> None:
    failure = RunFailed("refused", "ValueError", "tau must be finite")
    verdict = without_meaning(failure, graph(), graph(tau=float("inf")), 1e-4)
    assert verdict is not None
    assert verdict.blame is Blame.EXPORTER
    assert Cause.TAU_REWRITTEN in [each.cause for each in verdict.causes]
    assert without_meaning(failure, graph(), graph(), 1e-4) is None


def test_what_the_probes_saw_refused_is_the_cause_whatever_the_numbers() -> None:
    refusal = Refusal(at(OFF), "refused", "ValueError: nir.LIF.r must equal 1 or 100")
    domain = Domain({"LIF": Identified(NIR_MEANING, outputs=10, refusals=(refusal,))})
    failure = RunFailed("refused", "ValueError", "nir.LIF.r must equal 1 or 20")
    verdict = attributed(Verdict(Status.REFUSED, Blame.UNEXPLAINED), failure, graph(r=2.5), domain)
    assert (verdict.blame, verdict.codes) == (Blame.IMPORTER, ("unsupported",))
    assert verdict.causes[0].nodes == ("lif",)
    assert verdict.causes[0].text.startswith("LIF, r off 1 and tau/dt: ValueError")


def test_an_error_that_no_probe_met_is_the_importer_s_without_a_cause() -> None:
    failure = RunFailed("import_error", "AttributeError", "no attribute 'items'")
    verdict = attributed(Verdict(Status.IMPORT_ERROR, Blame.UNEXPLAINED), failure, graph(), Domain())
    assert (verdict.blame, verdict.causes) == (Blame.IMPORTER, ())


def test_a_cause_that_is_known_stays() -> None:
    share = CauseShare(Cause.DT_REQUESTED, 0, (), "another step")
    known = Verdict(Status.REFUSED, Blame.SETTING, (share,), 1.0)
    assert attributed(known, RunFailed("refused"), graph(), Domain()) == known


def test_names_of_nodes_do_not_hide_that_a_probe_failed_in_the_same_words() -> None:
    refusal = Refusal(at(OFF), "import_error", "ValueError: type mismatch: input.output: [[4 9]] -> n0.input")
    failure = RunFailed("import_error", "ValueError", "type mismatch: input.output: [[7 2]] -> lif.input")
    domain = Domain({"LIF": Identified(NIR_MEANING, outputs=10, refusals=(refusal,))})
    verdict = attributed(Verdict(Status.IMPORT_ERROR, Blame.UNEXPLAINED), failure, graph(), domain)
    assert verdict.codes == ("unsupported",)


def test_several_outputs_on_which_the_probes_hung_are_the_cause_of_a_time_limit() -> None:
    ends = {"input": port("Input", 2), "lif": lif(2), "mine": port("Output", 2), "yours": port("Output", 2)}
    several = Graph(ends, (("input", "lif"), ("lif", "mine"), ("lif", "yours")))
    hang = Refusal(Form.ANY, "timeout", "killed after 4 s")
    domain = Domain(
        {
            "LIF": Identified(NIR_MEANING, outputs=10),
            Wiring.SEVERAL_OUTPUTS: Identified(NIR_MEANING, refusals=(hang,)),
        }
    )
    failure = RunFailed("timeout", "", "killed after 20 s")
    verdict = attributed(Verdict(Status.TIMEOUT, Blame.UNEXPLAINED), failure, several, domain)
    assert (verdict.blame, verdict.codes, verdict.causes[0].nodes) == (Blame.IMPORTER, ("unsupported",), ("mine", "yours"))
    assert verdict.causes[0].text == "several Outputs: killed after 20 s"
    assert attributed(Verdict(Status.TIMEOUT, Blame.UNEXPLAINED), failure, graph(), domain).causes == ()


def test_what_is_not_taken_in_any_way_has_one_name_whether_or_not_the_sizes_tell_that_it_is_left_out() -> None:
    left_out = CauseShare(Cause.NODE_DROPPED, 0, ("lif",), "LIF lif is left out: The size of tensor a (9) must match (7)")
    known = Verdict(Status.RUN_ERROR, Blame.IMPORTER, (left_out,), 1.0)
    domain = Domain(
        {"LIF": Identified(NIR_MEANING, outputs=0, refusals=(Refusal(Form.ANY, "import_error", "an empty graph"),))}
    )
    for failure, verdict in (
        (RunFailed("run_error", "RuntimeError", "The size of tensor a (9) must match (7)"), known),
        (RunFailed("import_error", "ValueError", "an empty graph"), Verdict(Status.IMPORT_ERROR, Blame.UNEXPLAINED)),
    ):
        named = attributed(verdict, failure, graph(), domain)
        assert (named.codes, named.causes[0].nodes) == (("unsupported",), ("lif",))
        assert "LIF, LIF" not in named.causes[0].text
    taken = Domain({"LIF": Identified(NIR_MEANING, outputs=10)})
    assert attributed(known, RunFailed("run_error"), graph(), taken).codes == ("node_dropped",)


def test_what_got_through_no_probe_is_the_cause_of_an_error_in_other_words() -> None:
    failure = RunFailed("import_error", "KeyError", "'lif'")
    refusal = Refusal(Form.ANY, "import_error", "ValueError: cannot find the input of an empty graph")
    domain = Domain({"LIF": Identified(NIR_MEANING, outputs=0, refusals=(refusal,))})
    verdict = attributed(Verdict(Status.IMPORT_ERROR, Blame.UNEXPLAINED), failure, graph(), domain)
    assert (verdict.codes, verdict.causes[0].nodes) == (("unsupported",), ("lif",))


ENDS = {"shape": "ValueError: type mismatch: input.output: [[3]] -> neuron.input: []", "items": "AttributeError: no 'items'"}


def domain_of(*declined: tuple[Subject, Condition, str]) -> Domain:
    """Conditions of primitives and wirings, each with the name of how it ends."""
    refusals: dict[Subject, tuple[Refusal, ...]] = {}
    for subject, condition, end in declined:
        refusals[subject] = (*refusals.get(subject, ()), Refusal(condition, "import_error", ENDS[end]))
    return Domain({subject: Identified(NIR_MEANING, 100, refusals=each) for subject, each in refusals.items()})


def explained(exported: Graph, end: str, domain: Domain, status: Status = Status.IMPORT_ERROR) -> Verdict:
    error, _, message = end.partition(": ")
    return attributed(Verdict(status, Blame.UNEXPLAINED), RunFailed(str(status), error, message), exported, domain)


def test_one_number_for_all_neurons_is_named_with_the_nodes_that_have_it() -> None:
    """In the probe's words, but for its names and its sizes."""
    scalar = Node("LIF", {name: value[0] for name, value in lif(2).params.items()})
    scalar = Node("LIF", {name: np.array(value) for name, value in scalar.params.items()})
    two = Graph(
        {"input": port("Input", 2), "lif": lif(2), "flat": scalar, "output": port("Output", 2)},
        (("input", "lif"), ("lif", "flat"), ("flat", "output")),
    )
    known = domain_of(("LIF", Written.ONE_NUMBER, "shape"), ("LIF", spread("tau"), "shape"))
    verdict = explained(two, "ValueError: type mismatch: lif.output: [[2]] -> flat.input: []", known)
    assert (verdict.codes, verdict.causes[0].nodes) == (("parameter_shape",), ("flat",))
    assert verdict.causes[0].text.startswith("LIF, one number for all elements: ValueError")
    assert not explained(graph(), "ValueError: type mismatch: input.output: [[2]] -> lif.input: []", known).causes


def around(source: str, *, inner: bool) -> Graph:
    weights = Node("Linear", {"weight": np.eye(2, dtype=np.float32)})
    edges = (("input", source), (source, "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output"))
    flat = Graph({"input": port("Input", 2), source: weights, "lif": lif(2), "w": weights, "output": port("Output", 2)}, edges)
    return nest(flat, "lif", {"lif": "lif", "w_rec": "w"}, (2,)) if inner else flat


WIRED = domain_of(
    (Wiring.RECURRENCE, Recurrence.TWO_LAYERS, "items"),
    (Wiring.RECURRENCE, Recurrence.SOURCE_BEFORE_INPUT, "items"),
    (Wiring.NESTING, Nesting.RECURRENCE_BEFORE_SOURCE, "items"),
)


@pytest.mark.parametrize(("source", "inner", "edge"), [("w0", True, ("lif", "w0")), ("fc", False, ("fc", "input"))])
def test_names_out_of_order_are_the_cause_where_a_probe_shows_it(source: str, inner: bool, edge: tuple[str, str]) -> None:
    verdict = explained(around(source, inner=inner), ENDS["items"], WIRED)
    assert (verdict.codes, verdict.causes[0].nodes) == (("name_order",), edge[:1])
    assert verdict.causes[0].text.startswith(f"{edge[0]} is named before {edge[1]}, which feeds it")


@pytest.mark.parametrize("inner", [True, False])
def test_a_probe_s_name_that_is_false_of_a_graph_is_not_said(inner: bool) -> None:
    """One layer that feeds itself, under names in order: neither two layers, nor names."""
    verdict = explained(around("k", inner=inner), ENDS["items"], WIRED)
    assert (verdict.blame, verdict.causes) == (Blame.IMPORTER, ())


def test_a_reader_s_refusal_keeps_its_blame_and_gets_a_cause() -> None:
    scalar = Graph(
        {**graph().nodes, "lif": Node("LIF", {n: v[:1].reshape(()) for n, v in lif(2).params.items()})}, graph().edges
    )
    read = Verdict(Status.READ_ERROR, Blame.FORMAT, (CauseShare(Cause.UNSUPPORTED, 0, (), "nir.read refuses it"),), 1.0)
    failure = RunFailed("read_error", "ValueError", "type mismatch: input.output: [[2]] -> lif.input: []")
    found = attributed(read, failure, scalar, domain_of(("LIF", Written.ONE_NUMBER, "shape")))
    assert (found.blame, found.codes) == (Blame.FORMAT, ("parameter_shape",))
    assert attributed(read, failure, graph(), domain_of(("LIF", Written.ONE_NUMBER, "shape"))) == read


def test_what_nirs_own_reader_refuses_is_the_formats_whatever_the_probes_say() -> None:
    refusal = Refusal(Form.GROUPS, "read_error", "ValueError: type mismatch: input.output: [[4 9]] -> n0.input: [[2 9]]")
    failure = RunFailed("read_error", "ValueError", "type mismatch: input.output: [[7 2]] -> lif.input: [[1 2]]")
    none = np.zeros((1, 1, 2))
    facts = {"intended": None, "exported": graph(), "native": Recording({"output": none})}
    ends = {"source": Side("the source", 1e-4), "target": Side("the importer", 1e-4)}
    made = explain_cell(made=None, stimulus=none, failure=failure, **facts, **ends)
    verdict = attributed(made, failure, graph(), Domain({"LIF": Identified(NIR_MEANING, outputs=10, refusals=(refusal,))}))
    assert (verdict.blame, verdict.codes, verdict.explained) == (Blame.FORMAT, ("unreadable",), 1.0)
    assert verdict.causes[0].nodes == ("lif",)
    assert verdict.causes[0].text.startswith("nir.read refuses the file, before any importer: ValueError: type mismatch")


def test_a_failure_of_our_own_is_nobody_elses() -> None:
    failure = RunFailed("run_error", "OwnFailure", "nir-interop's own failure, not the library's: TypeError: no tensor")
    none = np.zeros((1, 1, 2))
    facts = {"intended": None, "exported": graph(), "native": Recording({"output": none})}
    ends = {"source": Side("the source", 1e-4), "target": Side("the importer", 1e-4)}
    made = explain_cell(made=None, stimulus=none, failure=failure, **facts, **ends)
    assert attributed(made, failure, graph(), Domain()) == Verdict(Status.RUN_ERROR, Blame.HARNESS)
    assert without_graph(failure, Stage.EXPORT).blame is Blame.HARNESS
