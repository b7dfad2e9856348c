"""A warning counts where it names what is at fault."""

from __future__ import annotations

import numpy as np
import pytest

from nir_interop.explain.warnings import Suspects, at_fault, before, warned
from nir_interop.graphs import Graph, Node
from nir_interop.vocabulary import Cause, Status
from nir_interop.workers.jobs import Outcome
from tests.strategies import lif

SCALING = "[warning] scaling weights to avoid scaling inputs"
NORSE = "WARNING root: The parameter r is expected to be set to 1, but was found to diverge (with mean 25.0)."


def graph() -> Graph:
    nodes = {
        "input": Node("Input", {"shape": np.array([2])}),
        "0": Node("Affine", {"weight": np.eye(2), "bias": np.zeros(2)}),
        "lif1": lif(2),
        "lif2": lif(2),
        "pool": Node("AvgPool2d", {"padding": np.zeros(2)}),
        "output": Node("Output", {"shape": np.array([2])}),
    }
    return Graph(nodes, (("input", "0"), ("0", "lif1"), ("lif1", "lif2"), ("lif2", "pool"), ("pool", "output")))


@pytest.mark.parametrize(
    ("cause", "nodes", "complaint", "expected"),
    [
        (Cause.RESISTANCE_IGNORED, ("lif1",), NORSE, True),
        (Cause.RESISTANCE_IGNORED, ("lif1",), SCALING, False),
        (Cause.RESET_VALUE_IGNORED, ("lif1",), NORSE, False),
        (Cause.RESET_VALUE_IGNORED, ("lif1",), "v_reset is not used", True),
        (Cause.RESET_LOST, ("lif1",), SCALING, False),
        (Cause.PARAMETER_LOST, ("lif1",), SCALING, False),
        (Cause.NODE_DROPPED, ("pool",), "AvgPool2d is not supported", True),
        (Cause.NODE_DROPPED, ("pool",), "skipping node pool", True),
        (Cause.NODE_DROPPED, ("pool",), "skipping node pooled", False),
        (Cause.POOL_PADDING, ("pool",), "The parameter padding is expected to be 0", True),
        (Cause.START, ("lif1",), "lif1: state starts elsewhere", True),
        (Cause.START, ("0",), "expected 0, found 1", False),
        (Cause.START, ("0",), "node '0' starts elsewhere", True),
    ],
)
def test_a_warning_counts_where_it_names_the_node_or_the_parameter(
    cause: Cause, nodes: tuple[str, ...], complaint: str, expected: bool
) -> None:
    suspects = at_fault([(cause, nodes, "")], graph())
    assert warned(Status.MISMATCH, Outcome(complaints=(complaint,)), suspects) is expected


def test_what_was_lost_is_in_the_causes_sentence() -> None:
    suspects = at_fault([(Cause.PARAMETER_LOST, ("lif1",), "w_in of lif1 is 1, 25 was meant")], graph())
    assert warned(Status.MISMATCH, Outcome(), suspects, ["w_in cannot be written"])


def test_a_cause_that_explains_nothing_tells_of_no_suspect() -> None:
    assert at_fault([(Cause.UNEXPLAINED, ("lif1",), "")], graph()) is None


@pytest.mark.parametrize(
    ("status", "message", "complaints", "expected"),
    [
        (Status.EXACT, "", [NORSE], False),
        (Status.ROUNDING, "", [NORSE], False),
        (Status.IMPORT_ERROR, "no such thing", [], True),
        (Status.REFUSED, "not supported", [], True),
        (Status.READ_ERROR, "no such thing", [], True),
        (Status.TIMEOUT, "no answer within 20 s", [], False),
        (Status.CRASH, "killed by signal 9", [], False),
        (Status.WRONG_SHAPE, "10 for 20", [], False),
        (Status.UNSTABLE, "values differ", [SCALING], False),
    ],
)
def test_an_error_says_itself_what_is_wrong(status: Status, message: str, complaints: list[str], expected: bool) -> None:
    outcome = Outcome(error_message=message, complaints=tuple(complaints))
    assert warned(status, outcome, Suspects(("lif1",), ("r",))) is expected


def test_a_failure_of_our_own_is_nothing_that_a_library_said() -> None:
    ours = Outcome(error_type="OwnFailure", error_message="nir-interop's own failure")
    assert not warned(Status.RUN_ERROR, ours, None)


def test_before_the_first_difference_is_all_that_the_node_hears() -> None:
    suspects = before(graph(), "lif1")
    assert suspects is not None
    assert set(suspects.nodes) == {"0", "lif1"}
    assert suspects.named_in(NORSE)
    assert not suspects.named_in("padding is not used")
    assert not suspects.named_in(SCALING)
    assert before(graph(), None) is None
