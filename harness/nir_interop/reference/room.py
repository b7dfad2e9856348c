"""How much memory and time a run takes, told from shapes before anything is allocated.

Both are estimates from above.  Memory: what is recorded over all steps, what one block of steps holds at all nodes, states and
waiting lines, parameters in double precision, and the columns of a convolution.  Time: operations by their kind, and the calls
in which they are made, on one core of a processor of 2020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nir_interop.errors import BadStimulus, InvalidGraph, TooSlow
from nir_interop.graphs import NEURONS, SPIKING, Graph, Node, Shapes, components
from nir_interop.graphs.primitives import CONVOLUTIONS, DENSE, POOLS
from nir_interop.graphs.shapes import padding_of, whole_numbers
from nir_interop.memory import GIB, advice, gib_text, memory_limit
from nir_interop.recording import MEMBRANE_SAMPLES

BLOCK = 2**18
"""Elements of a node's output that are computed at once: more do not fit the processor's cache and are slower."""
COLUMNS = 2**25
"""Elements that a convolution over some samples at once may unfold its input to."""

SHARE = 0.5
"""Of the time limit, what a run may be expected to take: input and results have to be made, read and written as well."""

_DOUBLE, _SINGLE = 8, 4
_ON_THE_WAY = 6
"""Copies of one block at one node: what comes in, what goes out, and what is between."""
_STATES, _PARAMETERS = 8, 10
"""Copies of a neuron's state for each sample, and of its parameters, at most."""

_NEURON_CALL, _CALL = 100e-6, 30e-6
_NEURON_ELEMENT, _ELEMENT, _COLUMN, _PRODUCT, _WEIGHT, _PICK = 60e-9, 15e-9, 5e-9, 0.15e-9, 0.8e-9, 1e-9
"""Seconds for a call of a neuron and of any other node; for an element of their outputs, one of a convolution's columns, a
product, a weight that is fetched again, and an element of a Delay that is asked whether it waits for so long."""
_NODE, _EDGE = 0.6e-3, 10e-6
"""Seconds for reading, checking and making ready a node and an edge, in every process that runs the graph."""


@dataclass(frozen=True)
class Demand:
    """What a run asks for: bytes that are held at once, and seconds."""

    held: int
    seconds: float


@dataclass(frozen=True)
class _Operation:
    """What a node without memory takes for one step of one sample.

    columns : elements that are unfolded, or added up
    products : multiplications
    weights : numbers that are fetched in each call
    padded : elements of what comes in with its zeros around
    """

    columns: int = 0
    products: int = 0
    weights: int = 0
    padded: int = 0


def demand(graph: Graph, shapes: Shapes, dt: float, steps: int, samples: int, *, membranes: bool = True) -> Demand:
    """What a run of an inlined graph at a step [s] asks for."""
    widest = max((math.prod(shape) for both in shapes.values() for shape in both), default=1)
    block = min(steps, max(1, BLOCK // (samples * widest)))
    cyclic = _cyclic(graph)
    recorded = at_once = kept = largest = 0
    seconds = 0.0
    for name, (incoming, outgoing) in shapes.items():
        node = graph.nodes[name]
        assert isinstance(node, Node)
        size, entering = math.prod(outgoing), math.prod(incoming)
        recorded += _recorded(node, size, samples, membranes)
        at_once += size
        kept += _kept(node, entering, size, samples, dt)
        operation = _operation(node, incoming, outgoing)
        largest = max(
            largest,
            _ON_THE_WAY * block * samples * max(size, entering)
            + 2 * block * samples * operation.padded
            + min(block * samples * operation.columns, max(operation.columns, COLUMNS)),
        )
        neuron = node.kind in NEURONS
        calls = steps if neuron or name in cyclic else math.ceil(steps / block)
        joined = len(graph.into(name))
        seconds += calls * ((_NEURON_CALL if neuron else _CALL) + joined * _CALL / 4 + _WEIGHT * operation.weights)
        each = size * (_NEURON_ELEMENT if neuron else _ELEMENT) + joined * entering * _ELEMENT
        if node.kind == "Delay":
            seconds += calls * _distinct(node, dt) * (_CALL + entering * _PICK)
        seconds += steps * samples * (each + operation.columns * _COLUMN + operation.products * _PRODUCT)
    held = samples * steps * _ELEMENTS_OF_INPUT * _input_size(graph, shapes) + steps * recorded
    held += _DOUBLE * (block * samples * at_once + largest) + kept
    return Demand(held, seconds + _NODE * len(shapes) + _EDGE * len(graph.edges))


_ELEMENTS_OF_INPUT = 2 * _SINGLE + _DOUBLE
"""Bytes for each element of the input: as it was given, and a copy in double precision."""


def check_room(graph: Graph, shapes: Shapes, dt: float, steps: int, samples: int, *, membranes: bool = True) -> Demand:
    """What a run asks for.  Raises BadStimulus where that is more memory than ``--memory-limit`` allows."""
    asked = demand(graph, shapes, dt, steps, samples, membranes=membranes)
    needed, most = asked.held / GIB, memory_limit()
    if needed > most:
        run = f"a run of {steps:,} steps and {samples:,} samples holds {gib_text(needed)}, more than {most:g} GiB"
        raise BadStimulus(f"{run}; give fewer or smaller ones, or a smaller graph; {advice(needed)}")
    return asked


def check_time(asked: Demand, limit: float) -> None:
    """Raise TooSlow for a run that would take most of the seconds that ``--time-limit`` gives, or more."""
    if asked.seconds > SHARE * limit:
        about = f"{asked.seconds:,.0f} s" if asked.seconds < 1e5 else f"{asked.seconds:.0e} s"
        enough = math.ceil(asked.seconds / SHARE) + 1
        raise TooSlow(
            f"a run of the reference is expected to take some {about}, too much within {limit:g} s; "
            f"give a smaller graph or a shorter input; --time-limit {enough} allows it"
        )


def check_parameters_fit(graph: Graph, shapes: Shapes, dt: float) -> None:
    """Raise InvalidGraph for a graph that takes more memory than allowed before its first step."""
    needed, most = sum(_kept_by(graph, name, shapes, 1, dt) for name in shapes) / GIB, memory_limit()
    if needed > most:
        raise InvalidGraph(
            f"its parameters and waiting lines take {gib_text(needed)}, more than {most:g} GiB; {advice(needed)}"
        )


def _kept_by(graph: Graph, name: str, shapes: Shapes, samples: int, dt: float) -> int:
    node = graph.nodes[name]
    assert isinstance(node, Node)
    incoming, outgoing = shapes[name]
    return _kept(node, math.prod(incoming), math.prod(outgoing), samples, dt)


def _recorded(node: Node, size: int, samples: int, membranes: bool) -> int:
    """Bytes that are written down for each step; twice, as parts of a sequence and as the whole."""
    each = _DOUBLE * samples if node.kind == "Output" else 0
    each += samples if node.kind in SPIKING else 0
    each += _DOUBLE * min(samples, MEMBRANE_SAMPLES) if membranes and node.kind in NEURONS else 0
    return 2 * each * size


def _kept(node: Node, entering: int, size: int, samples: int, dt: float) -> int:
    """Bytes that a node holds from one step to the next, its parameters among them."""
    given = sum(value.nbytes + _DOUBLE * value.size for value in node.params.values() if isinstance(value, np.ndarray))
    if node.kind in NEURONS:
        return given + _DOUBLE * size * (_STATES * samples + _PARAMETERS)
    if node.kind == "Delay":
        return given + 3 * _DOUBLE * entering * samples * _longest(node, dt) + 2 * _distinct(node, dt) * entering
    return given


def _longest(node: Node, dt: float) -> int:
    """Steps of a Delay's longest element."""
    longest = float(np.max(node["delay"], initial=0.0)) / dt
    return round(longest) if longest < 2**62 else 2**62


def _distinct(node: Node, dt: float) -> int:
    """How many delays there are: each is looked up by itself."""
    return min(node["delay"].size, _longest(node, dt) + 1)


def _operation(node: Node, incoming: tuple[int, ...], outgoing: tuple[int, ...]) -> _Operation:
    size = math.prod(outgoing)
    if node.kind in DENSE:
        weight = node["weight"]
        return _Operation(products=size * weight.shape[1], weights=weight.size)
    if node.kind in CONVOLUTIONS:
        weight = node["weight"]
        window = tuple(weight.shape[2:])
        stride, dilation = (whole_numbers(node, name, len(window)) for name in ("stride", "dilation"))
        zeros = padding_of(node, window, stride, dilation)
        columns = incoming[0] * math.prod(window) * math.prod(outgoing[1:])
        products = size * math.prod(weight.shape[1:])
        return _Operation(columns, products, weight.size, _padded(incoming, zeros))
    if node.kind in POOLS:
        window, padding = (whole_numbers(node, name, 2) for name in ("kernel_size", "padding"))
        return _Operation(size * math.prod(window), padded=_padded(incoming, tuple((each, each) for each in padding)))
    return _Operation()


def _padded(incoming: tuple[int, ...], zeros: tuple[tuple[int, int], ...]) -> int:
    if not any(each for both in zeros for each in both):
        return 0
    return incoming[0] * math.prod(length + sum(both) for length, both in zip(incoming[1:], zeros, strict=True))


def _input_size(graph: Graph, shapes: Shapes) -> int:
    return sum(math.prod(shapes[name][1]) for name in graph.of_kind("Input"))


def _cyclic(graph: Graph) -> frozenset[str]:
    """Nodes that run step by step."""
    found: set[str] = set()
    for members in components(graph.nodes, graph.edges):
        if len(members) > 1 or members[0] in graph.into(members[0]):
            found.update(members)
    return frozenset(found)
