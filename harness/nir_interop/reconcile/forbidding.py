"""What no rewriting of a graph takes away: the closed list of causes that forbid reconciling."""

from __future__ import annotations

from collections.abc import Iterable

from nir_interop.vocabulary import Cause

FORBIDDING = frozenset({Cause.PARAMETER_LOST, Cause.NODE_LOST, Cause.DISCRETISATION})
"""Each is shown by tests/reconcile/test_forbidden_causes.py, which fails where one is possible after all.

What an exporter did not write, a function of the file cannot know: networks that differ in it have the same file.  What a
neuron does in continuous time is no piecewise linear function of its input, and weights and neurons of steps are nothing else.
A reset, a primitive or a wiring that a target has not is not among them: others may stand for it.
"""


def forbidding(causes: Iterable[Cause]) -> tuple[Cause, ...]:
    """Those of the causes that remain of a rewritten graph which forbid reconciling it."""
    return tuple(cause for cause in causes if cause in FORBIDDING)
