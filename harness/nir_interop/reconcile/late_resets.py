r"""A reset to a value that comes one step late, and loses what is heard in that step, where the target's comes at once."""

from __future__ import annotations

import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.graphs import Graph, Node, as_array, validate
from nir_interop.reconcile.composition import factors, refuse_rule
from nir_interop.reconcile.model import Pass, Refused, Rewritten, free_name
from nir_interop.reconcile.neurons import TO_VALUE, Shape, membrane
from nir_interop.reconcile.substitutes import refuse_order
from nir_interop.reference.neurons import Values, parameter
from nir_interop.reference.order import Edge
from nir_interop.rule import Timing, UpdateRule
from nir_interop.vocabulary import Cause

_SURE = 2.0**12
"""By how many thresholds what brings a neuron to fire is above all that it hears."""


def late_reset_as_composition(graph: Graph, source: Side, target: Side) -> Rewritten | None:
    r"""A reset to a value one step late as a neuron that resets at once, and is made to fire again in the next step.

    A spike of the source keeps its membrane up until the next update, which sets it to v_reset and loses the input:

    .. math:: v_{t+1} = v_\mathrm{reset}\;\text{if}\;s_t\;\text{else}\;a\,v_t + g\,x_{t+1} + c, \qquad s_t = [v_t > \theta]

    A neuron *z* of the same numbers that resets at once hears its last spike, times *K*, besides. Whatever else it hears, it
    fires in the step after a spike, and is reset in it. A Threshold, which keeps the name, takes that second spike away:

    .. math:: z_{t+1} = [a\,u_t + g\,(x_{t+1} + K\,s_t) + c > \theta],\; u \leftarrow v_\mathrm{reset}\;\text{if}\;z,
        \qquad s_{t+1} = [z_{t+1} - s_t > 1/2]

    *K* is 4096 thresholds (and twice v_reset) over *g*: inputs below -*K* are not expected. Spikes are as they were; membranes
    are recorded after their reset, under another name. Nothing changes where the target resets as late.

    Refuses what resets by subtraction and at another time than the target (``soft_reset_as_composition`` is for that), a target
    that resets late where the source does not, a current-based neuron, whose synapse would keep *K*, several spikes in a step,
    a floor, spikes read from the membrane before, fixed point, and a gain of 0.
    """
    shapes, nodes, edges = validate(graph), dict(graph.nodes), list(dict.fromkeys(graph.edges))
    changed, stands_for = list[str](), dict[str, str]()
    added, late = list[Edge](), list[Edge]()
    for name, node in graph.primitives():
        if "v_threshold" not in node.params or _alike(source.rule(node.kind), target.rule(node.kind)):
            continue
        rule = source.rule(node.kind)
        _refuse(name, node, rule, target)
        again = factors(_enough(name, node, shapes[name][0], source), target)
        called = {part: free_name(f"{name}_{part}", nodes) for part in ("fires", "again", "less")}
        nodes |= {called["fires"]: node, called["again"]: again, called["less"]: factors(-np.ones(shapes[name][0]), target)}
        nodes[name] = Node("Threshold", {"threshold": as_array(np.full(shapes[name][0], 0.5))})
        edges = [(start, called["fires"] if end == name else end) for start, end in edges]
        waits = [(called["again"], called["fires"]), (called["less"], name)]
        added += [(called["fires"], name), (name, called["again"]), (name, called["less"]), *waits]
        late += waits
        stands_for[called["fires"]] = name
        changed.append(name)
    if not changed:
        return None
    after = Graph(nodes, (*edges, *added), graph.metadata)
    refuse_order(graph, after, stands_for, added, late, source.dt)
    why = f"{target.name} resets in the step of the spike; a neuron that has to fire again, unheard, is reset in the next"
    return Rewritten(after, tuple(changed), why)


def _alike(old: UpdateRule, new: UpdateRule) -> bool:
    """Whether two rules reset at the same time; after a reset to a value nothing is left to be carried."""
    if old.reset in TO_VALUE:
        return (old.timing is Timing.NEXT_STEP) is (new.timing is Timing.NEXT_STEP)
    return old.timing is new.timing


def _refuse(name: str, node: Node, rule: UpdateRule, target: Side) -> None:
    """Raise Refused where a neuron is not one that resets to a value, late, and does nothing more."""
    refuse_rule(name, rule)
    if rule.reset not in TO_VALUE or rule.timing is not Timing.NEXT_STEP:
        raise Refused(Cause.RESET_LATE, (name,), f"{target.name} resets {name} at another time")
    if "tau_syn" in node.params:
        raise Refused(Cause.RESET_LATE, (name,), f"{name} is reset one step late, and its synapse keeps what would reset it")


def _enough(name: str, node: Node, shape: Shape, source: Side) -> Values:
    """What a neuron hears after a spike, so that it fires again."""
    gain = membrane(node, shape, source.dt, source.rule(node.kind)).gain
    if (gain == 0).any():
        raise Refused(Cause.GAIN, (name,), f"no input reaches {name}, so that none makes it fire again")
    height = 1 + np.abs(parameter(node, "v_threshold", shape)) + 2 * np.abs(parameter(node, "v_reset", shape))
    needed: Values = _SURE * height / gain
    return needed


LATE_RESETS = (
    Pass(
        "late_reset_as_composition",
        ("timing",),
        frozenset({Cause.RESET_LATE, Cause.RESET_LOST}),
        "spikes; membranes after their reset, under other names",
        late_reset_as_composition,
    ),
)
"""The pass about when a reset comes: behind the one for resets by subtraction."""
