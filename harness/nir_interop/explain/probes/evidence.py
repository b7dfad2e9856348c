"""How far a backend runs a structural probe as NIR says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nir_interop.agreement.side import RunGraph
from nir_interop.compare.divergence import flatten
from nir_interop.errors import RunFailed
from nir_interop.explain.probes.battery import DT
from nir_interop.explain.probes.neurons import left_out, left_out_in_words, with_biases
from nir_interop.explain.probes.prediction import GRAZING, ROUNDING
from nir_interop.explain.probes.structural import Cell, Structural
from nir_interop.fingerprint import Identified, Refusal, Subject
from nir_interop.graphs import Array, Graph, validate
from nir_interop.graphs.flattening import orders, reordered
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import NIR_MEANING, UpdateRule
from nir_interop.vocabulary import PrimitiveStatus, Status

STEPS, BATCH = 24, 8

REPEATS = 12
"""Runs of a probe that was not run as meant: an importer that depends on the order of a set gives this now, that later."""

DECLINED = frozenset({str(Status.REFUSED), str(Status.IMPORT_ERROR), str(Status.READ_ERROR), str(Status.TIMEOUT)})
"""Ends that do not depend on chance, or cost too much to be seen again."""


@dataclass(frozen=True)
class End:
    """How a probe ended that was not run as meant.

    flatten_order : the order in which a Flatten joined its dimensions, where that is what went wrong
    no_linear : whether a Linear was left out, alone or with others
    """

    status: str
    message: str
    flatten_order: tuple[int, ...] = ()
    no_linear: bool = False


@dataclass(frozen=True)
class Neighbour:
    """The neuron that a backend takes, for probes that need one.

    dt : seconds, at which it was identified
    amplitude : of the input that brings it to its threshold, in amperes
    """

    cell: Cell
    rules: Mapping[str, UpdateRule]
    dt: float
    amplitude: float


def evidence(run: RunGraph, probes: Iterable[Structural], neighbour: Neighbour | None) -> Identified:
    """What a backend makes of the probes of one primitive or wiring.

    A probe that is refused, or whose output has another shape, adds no outputs; each that is not run as NIR says is a Refusal.
    """
    outputs = mismatched = 0
    refusals: list[Refusal] = []
    for probe in probes:
        if probe.spiking and neighbour is None:
            continue
        compared, missed, end = _asked(run, probe, neighbour)
        outputs, mismatched = outputs + compared, mismatched + missed
        if end is not None:
            refusals.append(Refusal(probe.condition, end.status, end.message, end.flatten_order))
    return Identified(NIR_MEANING, outputs, mismatched, refusals=tuple(refusals))


def _asked(run: RunGraph, probe: Structural, neighbour: Neighbour | None) -> tuple[int, int, End | None]:
    """Outputs compared and mismatched, and how it ended where not as meant."""
    dt = neighbour.dt if probe.spiking and neighbour is not None else DT
    graph = probe.graph() if neighbour is None or not probe.spiking else probe.graph(neighbour.cell, neighbour.amplitude)
    rules: Mapping[str, UpdateRule] = neighbour.rules if neighbour is not None else {}
    stimulus = np.random.default_rng(0).normal(0.4, 1.0, (STEPS, BATCH, *probe.shape)).astype(np.float32)
    if probe.spiking and neighbour is not None:
        stimulus *= np.float32(neighbour.amplitude)
        kept = _settled(graph, stimulus, dt, rules)
        stimulus = stimulus[:, kept]
    meant = _whole(simulate(graph, stimulus, dt, rules))
    ends: dict[End | None, int] = {}
    missed = 0
    for number in range(REPEATS):
        end, missed = _compared(run, graph, stimulus, dt, meant, probe.subject)
        biased = with_biases(graph) if end is not None and end.no_linear and probe.subject != "Linear" else None
        if biased is not None:
            graph = biased  # another form of the same weights
            end, missed = _compared(run, graph, stimulus, dt, meant, probe.subject)
        ends[end] = missed
        if end is None and number == 0:
            return meant.size, 0, None
        if end is not None and end.status in DECLINED:
            break
    if len(ends) > 1:
        said = {"as NIR says" if end is None else f"{end.status}: {end.message}": end for end in ends}
        order = next((end.flatten_order for _, end in sorted(said.items()) if end is not None and end.flatten_order), ())
        return 0, 0, End(str(Status.UNSTABLE), " or ".join(sorted(said)), order)
    (end,) = ends
    return (meant.size if end is not None and end.status == Status.MISMATCH else 0), missed, end


def _compared(
    run: RunGraph, graph: Graph, stimulus: Array, dt: float, meant: Array, subject: Subject
) -> tuple[End | None, int]:
    try:
        made: Recording | RunFailed = run(graph, stimulus, dt)
    except RunFailed as error:
        made = error
    left = left_out(graph, made)
    no_linear = "Linear" in left.values()
    if subject in left.values() or no_linear:
        return End(str(PrimitiveStatus.DROPPED), left_out_in_words(left), no_linear=no_linear), 0
    if isinstance(made, RunFailed):
        return End(made.status, ": ".join(text for text in (made.error_type, made.message) if text)), 0
    seen = _whole(made)
    if seen.shape != meant.shape:
        return End(str(Status.WRONG_SHAPE), f"an output of axes {_axes(seen)} for {_axes(meant)}"), 0
    scale = max(1.0, float(np.abs(meant).max(initial=0.0)))
    apart = ~(np.abs(meant.astype(np.float64) - seen.astype(np.float64)) <= ROUNDING * scale)
    missed = int(apart.sum())
    if not missed:
        return None, 0
    order = _order(graph, stimulus, dt, seen)
    alike = f", as they do where the dimensions are joined in the order {order}" if order else ""
    return End(str(Status.MISMATCH), f"{missed} of {meant.size} outputs differ{alike}", order), missed


def _order(graph: Graph, stimulus: Array, dt: float, seen: Array) -> tuple[int, ...]:
    """The order in which a Flatten joined its dimensions, where one alone gives what was seen."""
    found: list[tuple[int, ...]] = []
    shapes = validate(graph)
    for name, node in graph.primitives():
        if node.kind == "Flatten":
            for order, columns in orders(node, shapes[name][0]):
                other = reordered(graph, name, columns)
                if other is not None and np.allclose(simulate(other, stimulus, dt).output, flatten(seen), atol=ROUNDING):
                    found.append(order)
    return found[0] if len(found) == 1 else ()


def _whole(recording: Recording) -> Array:
    r"""What came out, (T, B, \*shape); of several Outputs (T, B, n), side by side."""
    return next(iter(recording.outputs.values())) if len(recording.outputs) == 1 else recording.output


def _axes(array: Array) -> str:
    return "×".join(map(str, array.shape[1:]))


def _settled(graph: Graph, stimulus: Array, dt: float, rules: Mapping[str, UpdateRule]) -> Array:
    """The samples whose answer stays the same if the input is a little stronger or weaker."""
    own = simulate(graph, stimulus, dt, rules).output
    kept = np.ones(stimulus.shape[1], dtype=bool)
    for factor in (1 - GRAZING, 1 + GRAZING):
        other = simulate(graph, stimulus.astype(np.float64) * factor, dt, rules).output
        close = np.isclose(own, other, rtol=1e-4, atol=1e-4).reshape(*own.shape[:2], -1)
        kept &= close.all(axis=(0, 2))
    return kept
