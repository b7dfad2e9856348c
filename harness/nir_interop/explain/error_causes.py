"""Why a run gave no recording, where its message and the shapes of its graph tell."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from nir_interop.agreement.replay import Rules
from nir_interop.errors import InvalidGraph
from nir_interop.explain.causes import Found
from nir_interop.explain.rewrites import candidates
from nir_interop.explain.structure import swallowed
from nir_interop.graphs import Graph, validate
from nir_interop.rule import TimeStep
from nir_interop.vocabulary import Blame, Cause

_SINGLE_PRECISION = 1e-5

Steps = tuple[float, float, "float | None"]


def reason(
    message: str, graph: Graph, batch: int, rules: Rules, steps: Steps, exporter_changes: Sequence[Cause]
) -> Found | None:
    """The cause of a failure, or None where it is not known.

    graph : that the importer was given, inlined
    steps : exported at, asked for, really used (None where unknown) [s]
    exporter_changes : what the exporter did to the graph; a time constant it rewrote comes before the importer's refusal of it
    """
    if re.search(r"NotExpressible|NIR (cannot|has no)", message):
        return Found(Cause.NOT_EXPRESSIBLE, 0, (), Blame.FORMAT, message)
    if re.search(r"uniform|same for all neurons", message):
        threshold, resistance = re.search(r"thr", message), re.search(r"(\.|\b)r\b", message)
        cause = Cause.THRESHOLD_COLLAPSED if threshold else Cause.RESISTANCE_COLLAPSED if resistance else None
        return None if cause is None else Found(cause, 0, (), Blame.IMPORTER, message)
    if re.search(r"tau|time constant|\bdt\b|times in one step", message, re.IGNORECASE):
        return _time_step(message, graph, rules, steps, exporter_changes)
    return _misfit(message, graph, batch, steps[1])


def unreadable(message: str, graph: Graph) -> Found:
    """A file that nir's own reader refuses: whoever imports with it, none of them sees the graph."""
    named = [name for name, node in graph.primitives() if node.kind not in ("Input", "Output") and _named(name, message)]
    return Found(Cause.UNREADABLE, 0, tuple(named), Blame.FORMAT, f"nir.read refuses the file, before any importer: {message}")


def _named(name: str, message: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}\.(input|output)\b|'{re.escape(name)}'", message) is not None


def _time_step(message: str, graph: Graph, rules: Rules, steps: Steps, exporter_changes: Sequence[Cause]) -> Found | None:
    exported, asked, used = steps
    if _fitting(graph, exported) != _fitting(graph, asked):
        return Found(Cause.DT_REQUESTED, 0, (), Blame.SETTING, message)
    for cause in (Cause.TAU_REWRITTEN, Cause.TIME_UNIT):
        if cause in exporter_changes:
            return Found(cause, 0, (), Blame.EXPORTER, message)
    fixed = any(rule.time_step is TimeStep.FIXED for rule in rules.values())
    return Found(Cause.DT_FIXED, 0, (), Blame.IMPORTER, message) if fixed or used not in (None, asked) else None


def _fitting(graph: Graph, dt: float) -> list[tuple[str, str]]:
    """The parameters that suit a step: time constants of at least one, and gains that its length cancels, r = tau/dt."""
    found = []
    for name, node in graph.primitives():
        for time, gain in (("tau", "r"), ("tau_mem", "r"), ("tau_syn", "w_in")):
            if time in node.params:
                found += [(name, time)] if np.all(node[time] >= dt) else []
                found += [(name, gain)] if np.allclose(node[gain], node[time] / dt, rtol=_SINGLE_PRECISION) else []
    return found


def _misfit(message: str, graph: Graph, batch: int, dt: float) -> Found | None:
    """Sizes that do not fit each other: the rewrite under which the graph's own shapes fail at the same numbers."""
    numbers = {int(number) for number in re.findall(r"\d+", message)} - {0, 1}
    if not numbers or not re.search(r"size|shape|dimension", message):
        return None
    for name, features in sorted(swallowed(graph, batch).items()):
        if features in numbers:
            return Found(Cause.FLATTEN_BATCH, 0, (name,), Blame.IMPORTER, message)
    fitting = []
    for each in candidates(graph, dt):
        try:
            if len(each.nodes) == 1:
                validate(each.graph)
        except InvalidGraph as error:
            if numbers <= {int(number) for number in re.findall(r"\d+", str(error))}:
                fitting.append(each)
    if len({each.cause for each in fitting}) != 1:
        return None
    return Found(fitting[0].cause, 0, fitting[0].nodes, Blame.IMPORTER, f"{fitting[0].text}: {message}")
