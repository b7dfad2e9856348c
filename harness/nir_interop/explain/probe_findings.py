"""What the probes have seen a backend do outside any rule, as causes: where several would do, the likelier ones."""

from __future__ import annotations

from collections.abc import Mapping

from nir_interop.explain.rules_in_words import found_in_words
from nir_interop.fingerprint import Domain, Subject, Wiring
from nir_interop.graphs import NEURONS
from nir_interop.vocabulary import Cause, PrimitiveStatus, Status

_ENDS = frozenset(map(str, (Status.MISMATCH, Status.WRONG_SHAPE, Status.UNSTABLE)))
_WEIGHTED = (Cause.BIAS_DROPPED, Cause.WEIGHT_TRANSPOSED)
_CAUSES: Mapping[Subject, tuple[Cause, ...]] = {
    Wiring.JOIN: (Cause.JOIN_MISRUN,),
    Wiring.RECURRENCE: (Cause.RECURRENCE_REWIRED, Cause.CYCLE_ORDER),
    Wiring.NESTING: (Cause.RECURRENCE_REWIRED, Cause.CYCLE_ORDER),
    "Flatten": (Cause.FLATTEN_BATCH, Cause.FLATTEN_ORDER),
    "AvgPool2d": (Cause.POOL_PADDING, Cause.NODE_DROPPED),
    "SumPool2d": (Cause.POOL_PADDING, Cause.NODE_DROPPED),
    **dict.fromkeys(("Affine", "Linear", "Conv1d", "Conv2d"), _WEIGHTED),
}


def without_rule(domain: Domain) -> dict[str, str]:
    """Neurons that a backend runs under no rule that was found → what is said of them."""
    neurons = {kind: one for kind, one in domain.items() if isinstance(kind, str) and kind in NEURONS}
    return {kind: f"{kind}: {found_in_words(kind, one)}" for kind, one in neurons.items() if one.unruled}


def misrun_causes(domain: Domain) -> frozenset[Cause]:
    """The causes that a fingerprint's evidence speaks for."""
    found: set[Cause] = set()
    for subject, known in domain.items():
        ends = {refusal.status for refusal in known.refusals}
        if known.mismatched or _ENDS & ends:
            found.update(_CAUSES.get(subject, (Cause.NODE_DROPPED,)))
        if str(PrimitiveStatus.DROPPED) in ends:
            found.add(Cause.NODE_DROPPED)
    return frozenset(found)
