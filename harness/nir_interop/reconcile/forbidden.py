"""What forbids reconciling a graph: a closed list of causes, each with what has to be so of the two sides.

Each is shown by tests/reconcile/test_forbidden_causes.py, which fails where one is possible after all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from nir_interop.agreement.side import Side
from nir_interop.fingerprint import Wiring
from nir_interop.graphs import SPIKING
from nir_interop.reconcile.neurons import TO_VALUE
from nir_interop.rule import Floor, SpikesPerStep, UpdateRule
from nir_interop.vocabulary import Cause

_KINDS = tuple(kind for kind in SPIKING if kind != "Threshold")


def _spiking(side: Side) -> list[UpdateRule]:
    """The rules of the neurons that a side takes."""
    return [side.rule(kind) for kind in _KINDS if kind in side.domain and side.takes(kind)]


def _always(source: Side, target: Side) -> bool:
    return True


def _reset_otherwise(source: Side, target: Side) -> bool:
    r"""Whether no neuron of the target resets as the source's do, and nothing else stands for it.

    A reset to a value forgets what a membrane was.  Neurons that subtract, thresholds and weights are linear in all that they
    have heard as long as they spike alike, :math:`\delta v \leftarrow a\,\delta v`, so that they never do; a floor would.
    The other way round, a feedback subtracts, where the target takes a cycle.
    """
    there, own = _spiking(target), _spiking(source) or [source.rule(kind) for kind in _KINDS]
    if not there:
        return False
    if all(rule.reset not in TO_VALUE for rule in there):
        forgets = any(rule.floor is not Floor.NONE for rule in there) and not target.domain.lacks(Wiring.RECURRENCE)
        return any(rule.reset in TO_VALUE for rule in own) and not forgets
    subtracts = any(rule.reset not in TO_VALUE for rule in own)
    return subtracts and all(rule.reset in TO_VALUE for rule in there) and target.domain.lacks(Wiring.RECURRENCE)


def _late(source: Side, target: Side) -> bool:
    """Whether whatever fires in the target says so a step late: nothing answers to what it has not heard yet."""
    there = _spiking(target)
    late = bool(there) and all(rule.spike_from.late for rule in there) and not target.takes("Threshold")
    return late and any(not source.rule(kind).spike_from.late for kind in _KINDS)


def _several(source: Side, target: Side) -> bool:
    """Whether whatever fires in the target gives all its spikes at once, and nothing feeds back how many it may.

    A neuron that fires once a step has some left for the next, in which it may hear nothing; one that fires as often as it can
    has none, and is silent then.
    """
    there = _spiking(target)
    many = bool(there) and all(rule.spikes is SpikesPerStep.MANY for rule in there)
    once = any(source.rule(kind).spikes is SpikesPerStep.ONE for kind in _KINDS)
    return many and once and target.domain.lacks(Wiring.RECURRENCE)


FORBIDDING: Mapping[Cause, Callable[[Side, Side], bool]] = {
    Cause.PARAMETER_LOST: _always,
    Cause.NODE_LOST: _always,
    Cause.DISCRETISATION: _always,
    Cause.RESET_KIND: _reset_otherwise,
    Cause.LAYER_DELAY: _late,
    Cause.SPIKES_PER_STEP: _several,
}
"""Cause → whether it forbids reconciling, of a source and a target.

What an exporter did not write, a function of the file cannot know: networks that differ in it have the same file.  What a
neuron does in continuous time is no piecewise linear function of its input, and weights and neurons of steps are nothing else.
A reset, a primitive or a wiring that a target has not is not among them where others may stand for it.
"""


def forbidding(causes: Iterable[Cause], source: Side, target: Side) -> tuple[Cause, ...]:
    """Those of the causes that remain of a rewritten graph which forbid reconciling it.

    source : as its graph is read; target : the library, with what it takes
    """
    return tuple(cause for cause in causes if cause in FORBIDDING and FORBIDDING[cause](source, target))
