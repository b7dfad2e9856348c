"""What is known of a backend: the update rule of each neuron primitive, with its evidence.

A fingerprint has an origin.  ``import`` is what the library's importer makes of a NIR node; ``native`` is a neuron of the
library's own, which has options (snnTorch's default resets late and by subtraction, whatever its importer does).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from nir_interop.rule import AXES, NIR_MEANING, UpdateRule

CHAIN = "a chain of two layers"
"""The probe, and the part of a domain, of a neuron with another layer behind it."""
STRAY = 1e-5
"""The share of a rule's own evidence that it may miss: single spikes, which rounding decides otherwise."""


class Origin(Enum):
    """Where in a library a rule is found."""

    IMPORT = "import"
    NATIVE = "native"


@dataclass(frozen=True)
class Tie:
    """Values of an axis that the probes could not tell apart.

    axis : of :class:`UpdateRule`
    values : that fit, the chosen one first
    splits : the input that would tell them apart, and why it was not to be had; or a proof that there is none
    """

    axis: str
    values: tuple[str, ...]
    splits: str


@dataclass(frozen=True)
class Refusal:
    """A part of a primitive's domain that the library does not take.

    parameter : which one, off which value (``r`` off 1, for instance)
    status : refused, or the error that came instead
    message : the library's own words, normalised
    """

    parameter: str
    status: str
    message: str


@dataclass(frozen=True)
class Identified:
    """The rule of one primitive.

    outputs, mismatched : how many outputs of the probes were compared, and how many the rule does not reproduce
    """

    rule: UpdateRule
    outputs: int = 0
    mismatched: int = 0
    ties: tuple[Tie, ...] = ()
    refuses: tuple[Refusal, ...] = ()

    @property
    def only_last(self) -> bool:
        """Whether nothing may come behind it: it is taken, and what it gives out is not."""
        return any(refusal.parameter.startswith(CHAIN) for refusal in self.refuses)

    @property
    def known(self) -> bool:
        """Whether the rule is known: it reproduces its own evidence.  A rule that does not is the closest of those that were
        tried, and nothing follows from it."""
        return self.outputs > 0 and self.mismatched <= STRAY * self.outputs


@dataclass(frozen=True)
class Fingerprint:
    """The rules of one backend, of one origin, by primitive (``LIF``, ``CubaLIF``, …).

    options : of a native neuron, as the library writes them; empty for imports
    """

    backend: str
    origin: Origin = Origin.IMPORT
    options: str = ""
    rules: Mapping[str, Identified] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "backend": self.backend,
            "side": self.origin.value,
            "options": self.options,
            "rules": {kind: {**asdict(one), "rule": one.rule.as_dict()} for kind, one in sorted(self.rules.items())},
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Fingerprint:
        """The fingerprint that :meth:`as_dict` wrote."""
        rules = {}
        for kind, one in document["rules"].items():
            ties = tuple(Tie(tie["axis"], tuple(tie["values"]), tie["splits"]) for tie in one["ties"])
            refuses = tuple(Refusal(**refusal) for refusal in one["refuses"])
            rule = UpdateRule.from_dict(one["rule"])
            rules[kind] = Identified(rule, one["outputs"], one["mismatched"], ties, refuses)
        return cls(document["backend"], Origin(document["side"]), document["options"], rules)

    def by_primitive(self) -> dict[str, UpdateRule]:
        """Primitive → rule, as the simulator takes it; one that is not here has NIR's meaning, or no rule that is known."""
        return {kind: one.rule for kind, one in sorted(self.rules.items()) if one.known or not one.outputs}


def differing_axes(one: UpdateRule, other: UpdateRule = NIR_MEANING) -> tuple[str, ...]:
    """The axes in which two rules differ, in the order of the rule's axes."""
    return tuple(axis.name for axis in AXES if getattr(one, axis.name) is not getattr(other, axis.name))
