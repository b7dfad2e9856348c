"""How much a run holds, and how long it takes, is known before anything is allocated."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

from nir_interop.agreement.inputs import inputs_for
from nir_interop.errors import BadInput, BadStimulus, InvalidGraph, TooSlow
from nir_interop.graphs import Graph, Node, inline, validate
from nir_interop.memory import OWN, VARIABLE, advice, allowed, checked, memory_limit
from nir_interop.reference import Simulator
from nir_interop.reference.room import Demand, check_room, check_time, demand
from tests.strategies import node

DT = 1e-4


def wide(size: int, *middle: Node) -> Graph:
    port = {"shape": np.array([size])}
    nodes = {"input": Node("Input", port), **{f"n{number}": each for number, each in enumerate(middle)}}
    nodes["output"] = Node("Output", port)
    return Graph(nodes, tuple(pairwise(nodes)))


def asked(graph: Graph, steps: int, samples: int, dt: float = DT) -> Demand:
    return demand(inline(graph), validate(graph), dt, steps, samples)


def test_a_longer_or_wider_run_holds_more_and_takes_longer() -> None:
    one, longer, wider = (asked(wide(*each), 400, 2) for each in ((1000,), (1000,), (2000,)))
    longer = asked(wide(1000), 800, 2)
    assert one.held < longer.held < 2 * one.held + 1
    assert one.held < wider.held
    assert one.seconds < min(longer.seconds, wider.seconds)
    assert one.held >= 400 * 2 * 1000 * 8 * 2  # input and output in double precision


def test_a_run_that_holds_too_much_is_refused_before_its_input_is_made() -> None:
    graph = wide(2**27)
    with pytest.raises(BadStimulus, match=r"a run of 40 steps and 12 samples holds \d,\d{3}\.\d GiB, more than 4 GiB"):
        inputs_for(graph, DT)
    fits = wide(1000)
    assert check_room(fits, validate(fits), DT, 1000, 100).held < OWN * 2**30


def test_the_option_that_a_refusal_names_allows_the_run() -> None:
    graph = wide(2**20)
    shapes = validate(graph)
    with allowed(0.5), pytest.raises(BadStimulus) as refused:
        check_room(graph, shapes, DT, 20, 2)
    advised = re.search(r"--memory-limit (\S+) allows it", str(refused.value))
    assert advised is not None
    with allowed(checked(advised[1])):
        assert check_room(graph, shapes, DT, 20, 2).held > 0.5 * 2**30
    slow = Demand(0, 12.3)
    with pytest.raises(TooSlow) as late:
        check_time(slow, 20)
    advised = re.search(r"--time-limit (\S+) allows it", str(late.value))
    assert advised is not None
    check_time(slow, float(advised[1]))


def test_no_option_is_named_where_the_machine_has_no_such_memory() -> None:
    assert "--memory-limit" not in advice(2.0**40)
    assert "--memory-limit 0.6 allows it" in advice(0.5)


def test_a_limit_is_a_positive_number_and_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    for wrong in ("", "much", "nan", "inf", "-1", "0", "1e300"):
        with pytest.raises(BadInput, match="how many GiB"):
            checked(wrong)
    with allowed(3):
        assert memory_limit() == 3
    assert memory_limit() == OWN


@pytest.mark.parametrize("delay", [1e5, 1e300])
def test_a_delay_longer_than_there_is_memory_for_is_refused(delay: float) -> None:
    graph = wide(1000, node("Delay", delay=delay))
    with pytest.raises(BadStimulus, match="GiB"):
        inputs_for(graph, DT)
    with pytest.raises(InvalidGraph, match=r"waiting lines take [\d,.]+ GiB"):
        Simulator(graph, DT)


def test_the_windows_of_a_convolution_and_its_padding_are_counted() -> None:
    def convolved(kernel: int, padding: int, stride: int) -> Graph:
        weight = np.ones((1, 1, kernel, kernel))
        layer = node("Conv2d", weight=weight, bias=[0.0], stride=stride, padding=padding, dilation=1, groups=1)
        size = (64 + 2 * padding - kernel) // stride + 1
        ports = [node(kind, shape=[1, each, each]) for kind, each in (("Input", 64), ("Output", size))]
        nodes = {"input": ports[0], "conv": layer, "output": ports[1]}
        return Graph(nodes, tuple(pairwise(nodes)))

    small, large, padded = (
        asked(convolved(3, 1, 1), 10, 1),
        asked(convolved(31, 15, 1), 10, 1),
        asked(convolved(3, 5000, 5000), 10, 1),
    )
    assert large.held > small.held + 8 * 64 * 64 * (31 * 31 - 9) - 2**20
    assert large.seconds > 10 * small.seconds
    assert padded.held > 2 * 8 * 10_000**2


def test_many_nodes_in_a_loop_take_time_for_each_of_them_at_each_step() -> None:
    scales = [node("Scale", scale=0.5) for _ in range(300)]
    chain = wide(2, *scales)
    loop = Graph(chain.nodes, (*chain.edges, ("n299", "n0")))
    assert asked(loop, 200, 12).seconds > 10 * asked(chain, 200, 12).seconds
    with pytest.raises(TooSlow, match=r"--time-limit \d+ allows it"):
        inputs_for(loop, DT, time_limit=1.0)


def test_cycles_within_cycles_thousands_deep_are_refused_and_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nir_interop.reference.order.MOST_LOOKS", 20_000)
    names = [f"n{number:05d}" for number in range(300)]
    both_ways = [edge for a, b in pairwise(names) for edge in ((a, b), (b, a))]
    nodes = {**wide(2).nodes, **{name: node("Scale", scale=0.1) for name in names}}
    graph = Graph(nodes, (("input", names[0]), *both_ways, (names[-1], "output")))
    with pytest.raises(InvalidGraph, match="thousands deep"):
        Simulator(graph, DT)
