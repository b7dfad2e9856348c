"""How much a run holds is known before anything is allocated."""

from __future__ import annotations

import numpy as np
import pytest

from harness.agreement.inputs import inputs_for
from harness.errors import BadStimulus
from harness.graphs import Graph, Node, validate
from harness.reference.room import MOST_BYTES, check_room, held_bytes


def wide(size: int) -> Graph:
    port = {"shape": np.array([size])}
    return Graph({"input": Node("Input", port), "output": Node("Output", port)}, (("input", "output"),))


def test_an_input_and_an_output_are_held_in_double_precision() -> None:
    graph = wide(1000)
    assert held_bytes(graph, validate(graph), 10, 2) == 2 * (10 * 2 * 8 * 1000 + 4 * 8 * 1000)


def test_a_run_that_holds_too_much_is_refused_before_its_input_is_made() -> None:
    graph = wide(2**27)
    with pytest.raises(BadStimulus, match=r"a run of 40 steps and 12 samples holds 1,\d{3}\.\d GiB, more than 4 GiB"):
        inputs_for(graph, 1e-4)
    fits = wide(1000)
    check_room(fits, validate(fits), 1000, 100)
    assert held_bytes(fits, validate(fits), 1000, 100) < MOST_BYTES
