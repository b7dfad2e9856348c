"""The readings of a file that are tried: libraries' own neurons, gains in the file or not, steps, and neurons not reset."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from nir_interop.agreement.replay import Rules, rules_for
from nir_interop.fingerprint import Fingerprint
from nir_interop.graphs import Graph, Node, validate
from nir_interop.reference.neurons import Values
from nir_interop.rule import Gain, UpdateRule, Use
from nir_interop.transfer.readings.reading import SAME, Reading, numbers, reading, renamed

Named = tuple[str, Rules]
"""Whose rules these are, in words (empty: nobody's), and the rules."""

UNRESET: Mapping[str, str] = {"IF": "I", "LIF": "LI", "CubaLIF": "CubaLI"}
"""Neurons, and what they are without a threshold."""

_UNITS = (1.0, 1e-3, 1e-4)
"""Steps and units [s] that exporters write time constants in, beside the step that the caller named."""

_ROUND = tuple(mantissa * 10.0**-exponent for exponent in range(6) for mantissa in (1, 2, 5))
"""Steps [s] that somebody may have taken and not said."""


def named_rules(natives: Iterable[Fingerprint], kinds: Sequence[str]) -> list[Named]:
    """The rules of libraries' own neurons; only of those libraries that have all primitives of a graph."""
    return [
        (f"{each.backend}'s {each.options}", {kind: each.rules[kind].rule for kind in kinds})
        for each in natives
        if all(kind in each.rules and each.rules[kind].outputs for kind in kinds)
    ]


def steps(dt: float) -> tuple[float, ...]:
    """The steps [s] at which a file is read: the one that the caller named first.

    An exporter that writes time constants times dt, over dt, or in another unit makes a file that is right at dt², at 1, or at
    dt times the unit.
    """
    found = [dt, dt * dt, 1.0, *(dt * unit for unit in _UNITS), *_UNITS, *(one * other for one in _UNITS for other in _UNITS)]
    return _distinct(found)


def further_steps(dt: float) -> tuple[float, ...]:
    """Round numbers [s], and the same where an exporter wrote time constants times the step."""
    known = steps(dt)
    return _distinct([*known, *_ROUND, *(each * each for each in _ROUND)])[len(known) :]


def _distinct(values: Iterable[float]) -> tuple[float, ...]:
    found: list[float] = []
    for value in values:
        if not any(np.isclose(value, other, rtol=SAME, atol=0) for other in found):
            found.append(float(f"{value:.12g}"))
    return tuple(found)


def forms(graph: Graph, counts: bool) -> list[tuple[Graph, tuple[str, ...]]]:
    """An inlined graph as it stands, and with neurons that are never reset: all of them, or the last ones.

    counts : whether spikes were recorded; of a graph that ends in spiking neurons, else, the last ones' membranes

    NIR has no neuron that fires and is not reset, but says it as a membrane and a Threshold behind it.
    """
    spiking = [name for name, node in graph.primitives() if node.kind in UNRESET]
    last = [name for name in spiking if any(graph.nodes[target].kind == "Output" for target in graph.out_of(name))]
    if not spiking or (not counts and not last):
        return [(graph, ())]
    if not counts:
        bare = (_unreset(graph, last, last), (f"with the membrane of {_listed(last)} recorded, which is never reset",))
        hidden = [name for name in spiking if name not in last]
        also = [(_unreset(graph, spiking, last), (*bare[1], f"with {_listed(hidden)} never reset"))] if hidden else []
        return [bare, *also]
    sets = [spiking, last] if last and last != spiking else [spiking]
    return [(graph, ()), *((_unreset(graph, names, ()), (f"with {_listed(names)} never reset",)) for names in sets)]


def _unreset(graph: Graph, names: Sequence[str], silent: Sequence[str]) -> Graph:
    """Neurons as membranes, each with a Threshold behind it but for the silent ones."""
    nodes, edges = dict(graph.nodes), list(graph.edges)
    for name in names:
        node = graph.nodes[name]
        if not isinstance(node, Node):
            continue
        kept = {key: value for key, value in node.params.items() if key not in ("v_threshold", "v_reset")}
        nodes[name] = Node(UNRESET[node.kind], kept)
        if name not in silent:
            behind = f"{name}_fires"
            while behind in nodes:
                behind += "_"
            nodes[behind] = Node("Threshold", {"threshold": node["v_threshold"]})
            edges = [(behind if source == name else source, target) for source, target in edges] + [(name, behind)]
    return Graph(nodes, tuple(edges), graph.metadata)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def readings(
    graphs: Sequence[tuple[Graph, tuple[str, ...]]], asked: float, at: Sequence[float], named: Sequence[Named]
) -> list[Reading]:
    """Every form of a graph under every rule, with its gains read in every way, at every step; those that compute the same are
    one, nearest to NIR's meaning first."""
    found: dict[object, list[tuple[Values, Reading]]] = {}
    seen = set[object]()
    shaped = [(graph, validate(graph, finite=False), changes) for graph, changes in graphs]
    for (graph, shapes, changes), (whose, rules), dt in itertools.product(shaped, named, at):
        for dialect in dialects(rules_for(graph, _spread(rules))):
            one = reading(graph, dt, dialect, asked, (whose,) if whose else (), changes)
            said = (id(graph), dt, tuple(one.rules.items()), one.whose)
            known = None if said in seen else numbers(one, shapes)
            seen.add(said)
            if known is None:
                continue
            alike = found.setdefault(known[0], [])
            for place, (values, other) in enumerate(alike):
                if values.shape == known[1].shape and np.allclose(values, known[1], rtol=SAME, atol=1e-12):
                    plain, further = sorted((other, one), key=lambda each: each.departures)
                    alike[place] = (values, renamed(plain, further))
                    break
            else:
                alike.append((known[1], one))
    return sorted((one for alike in found.values() for _, one in alike), key=lambda each: each.departures)


def _spread(rules: Rules) -> dict[str, UpdateRule]:
    """Rules with those of neurons for membranes that are read out of them."""
    return {**{UNRESET[kind]: rule for kind, rule in rules.items() if kind in UNRESET}, **rules}


def dialects(rules: Rules) -> Iterator[dict[str, UpdateRule]]:
    """Rules with every way of reading a file's gains: as the rule has it, scaled as NIR has it, or not in the file at all.

    A library that adds inputs as they are may write gains that it does not have, and have gains in its weights.
    """
    yield dict(rules)
    for gain, synapse_gain in itertools.product((Gain.STEP, Gain.ONE), (Gain.STEP, Gain.ONE)):
        used = {"resistance": Use.USED, "input_weight": Use.USED}
        yield {kind: rule.but(gain=gain, synapse_gain=synapse_gain, **used) for kind, rule in rules.items()}
