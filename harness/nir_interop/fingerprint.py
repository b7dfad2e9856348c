"""What is known of a backend: the update rule of each neuron primitive, and what it takes, with the evidence.

A fingerprint has an origin.  ``import`` is what the library's importer makes of a NIR node; ``native`` is a neuron of the
library's own, which has options (snnTorch's default resets late and by subtraction, whatever its importer does).

A part of a primitive or of a wiring that a library does not take is a :data:`Condition`: a value, of which
``nir_interop.explain.conditions_in_words`` makes words where they are printed.  :class:`Domain` is where one is looked up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from nir_interop.rule import AXES, NIR_MEANING, UpdateRule

STRAY = 1e-5
"""The share of a rule's own evidence that it may miss: single spikes, which rounding decides otherwise."""


class Origin(Enum):
    """Where in a library a rule is found."""

    IMPORT = "import"
    NATIVE = "native"


class Wiring(Enum):
    """What stands beside the primitives in a domain: how nodes are connected and named, whatever they are."""

    JOIN = "join"
    """Several edges into one node."""
    NESTING = "nesting"
    """Graphs within a graph, and names that do not sort in the order in which nodes run."""
    RECURRENCE = "recurrence"
    """Neurons that feed themselves through weights."""
    SEVERAL_OUTPUTS = "several_outputs"
    """More than one Output."""


Subject = str | Wiring
"""What something is known of: a primitive by its name (``LIF``, ``Conv2d``, …), or a wiring."""


def subject_key(subject: Subject) -> str:
    """A subject in plain data; no wiring is called as a primitive is."""
    return subject.value if isinstance(subject, Wiring) else subject


def subject_order(subject: Subject) -> tuple[bool, str]:
    """The order in which tables list subjects: primitives by name, then wirings."""
    return isinstance(subject, Wiring), subject_key(subject)


class GainState(Enum):
    """Where a parameter stands that multiplies what comes in, r or w_in."""

    OFF = "off"
    """Neutral in no library."""
    ONE = "one"
    MATCHED = "matched"
    """r = tau/dt (for I and IF 1/dt), w_in = tau_syn/dt: the gain of a forward Euler step is 1."""
    MATCHED_FIXED = "matched_fixed"
    """The same at 1e-4 s, whatever dt is."""


@dataclass(frozen=True)
class Gains:
    """Where r and w_in stand together; w_in is OFF for a primitive that has none."""

    r: GainState = GainState.OFF
    w_in: GainState = GainState.OFF


class Circuit(Enum):
    """What a probe's neuron is part of."""

    SINGLE = "single"
    CHAIN = "chain"
    """Another layer of the same neurons comes behind it."""
    CYCLE = "cycle"
    """It feeds itself through weights with a bias."""
    NESTED_CYCLE = "nested_cycle"
    """The same, in a graph of its own."""
    PLAIN_CYCLE = "plain_cycle"
    """It feeds itself through weights without a bias."""
    NESTED_PLAIN_CYCLE = "nested_plain_cycle"
    """The same, in a graph of its own."""

    @property
    def nested(self) -> bool:
        """Whether a part of it is a graph of its own."""
        return self in (Circuit.NESTED_CYCLE, Circuit.NESTED_PLAIN_CYCLE)

    @property
    def plain(self) -> bool:
        """Whether it feeds itself without a bias."""
        return self in (Circuit.PLAIN_CYCLE, Circuit.NESTED_PLAIN_CYCLE)


@dataclass(frozen=True)
class NeuronCondition:
    """A neuron that is unusual in something.

    off_zero : of v_leak and v_reset, those that are not 0
    one_voltage : whether both are the same, off 0
    below_step : time constants that are shorter than a step
    spread : parameters that differ from neuron to neuron of a layer; NIR's names, ``tau`` also of ``tau_mem``
    tau : the membrane's time constant in steps, where nothing else is unusual
    off_threshold : whether v_threshold is not 1, and nothing else is unusual
    circuit : what the neuron is part of
    gains : where r and w_in stood; None where that is of no matter (they stood where they tell most)
    dt : seconds; None where the probes' usual step was taken
    """

    off_zero: frozenset[str] = frozenset()
    one_voltage: bool = False
    below_step: frozenset[str] = frozenset()
    spread: frozenset[str] = frozenset()
    tau: float | None = None
    off_threshold: bool = False
    circuit: Circuit = Circuit.SINGLE
    gains: Gains | None = None
    dt: float | None = None

    def whatever_gains(self) -> NeuronCondition:
        """The same wherever r and w_in stand."""
        return replace(self, gains=None)

    @property
    def order(self) -> tuple[tuple[int, Any], ...]:
        """Sorts conditions of one primitive as tables list them: by what is varied, then the circuit, the gains and dt."""
        parts: list[tuple[int, Any]] = []
        if self.one_voltage:
            parts.append((9, ""))
        else:
            parts += [({"v_leak": 10, "v_reset": 11}[name], "") for name in sorted(self.off_zero)]
        parts += [({"tau": 7, "tau_syn": 8}[name], "") for name in sorted(self.below_step)]
        parts += [(3, name) for name in sorted(self.spread)]
        parts += [(6, self.tau)] if self.tau is not None else []
        parts += [(12, "")] if self.off_threshold else []
        parts += {Circuit.SINGLE: [], Circuit.CHAIN: [(0, "")]}.get(self.circuit, [(1, "")])
        parts += [(4, "")] if self.circuit.nested else []
        parts += [(14, "")] if self.circuit.plain else []
        if self.gains is not None:
            parts += [(5, _BY_GAIN.index(self.gains.r)), (13, _BY_GAIN.index(self.gains.w_in))]
        parts += [(2, self.dt)] if self.dt is not None else []
        return tuple(parts)


_BY_GAIN = (GainState.ONE, GainState.MATCHED_FIXED, GainState.MATCHED, GainState.OFF)


class Form(Enum):
    """A form of a node that probes give to a library, by itself or between others."""

    ANY = "any"
    """Whatever form it was tried in; also of a wiring."""
    ALONE = "alone"
    BETWEEN_LAYERS = "between_layers"
    BETWEEN_CONVOLUTIONS = "between_convolutions"
    WIDENING = "widening"
    """Weights with more rows than columns."""
    NARROWING = "narrowing"
    SQUARE = "square"
    """As many rows as columns, which a transposed reading does not notice; not symmetric."""
    STRIDED_PADDED_DILATED = "strided_padded_dilated"
    PADDING_SAME = "padding_same"
    GROUPS = "groups"
    DEPTHWISE = "depthwise"
    """As many groups as channels."""
    KERNEL_NOT_SQUARE = "kernel_not_square"
    OVERLAPPING_WINDOWS = "overlapping_windows"
    PADDING = "padding"
    HIDDEN_PADDING = "hidden_padding"
    """Padding without which the output has the same shape."""


class Written(Enum):
    """A way to write the same numbers in a file."""

    ONE_NUMBER = "one_number"
    """A number by itself for all elements."""
    ARRAY_OF_ONE = "array_of_one"
    """An array of one number for all elements."""
    INTEGERS = "integers"
    BOOLEANS = "booleans"
    HALF = "half"
    DOUBLE = "double"
    ONE_FOR_BOTH = "one_for_both"
    """One number for height and width."""
    ARRAY_FOR_LENGTH = "array_for_length"
    """An array of one number where there is one dimension."""


@dataclass(frozen=True)
class FlattenDims:
    """A Flatten from one dimension to another of a sample, counted from the front or (negative) from the back."""

    start: int
    end: int


@dataclass(frozen=True)
class GivenField:
    """A field that stands in the file at all, whatever its value: one of later versions of NIR, or ``metadata``."""

    field: str


class Join(Enum):
    """Several edges into one node, by what meets where."""

    BRANCHES_INTO_LAYER = "branches_into_layer"
    BRANCHES_INTO_NEURON = "branches_into_neuron"
    BRANCHES_INTO_OUTPUT = "branches_into_output"
    SPIKES_INTO_LAYER = "spikes_into_layer"
    SPIKES_INTO_NEURON = "spikes_into_neuron"
    SKIP = "skip"
    """Past a neuron."""


class Recurrence(Enum):
    """Layers that feed themselves."""

    ONE_LAYER = "one_layer"
    TWO_LAYERS = "two_layers"
    FEEDBACK_LISTED_LAST = "feedback_listed_last"
    """One layer, the edges of whose cycle are listed behind the edge that leads on."""
    SOURCE_BEFORE_INPUT = "source_before_input"
    """One layer, whose source has a name that sorts before the Input's."""


class Nesting(Enum):
    """Graphs within a graph, and names of layers."""

    LAYER = "layer"
    """Weights and a neuron in a graph of their own."""
    RECURRENCE = "recurrence"
    RECURRENCE_BEFORE_SOURCE = "recurrence_before_source"
    """A recurrence in a graph of its own, whose name sorts before its source's."""
    LAYERS_AGAINST_ORDER = "layers_against_order"
    """Layers whose names sort against the order in which they run."""


class Outputs(Enum):
    """Where several Outputs are."""

    BRANCHES = "branches"
    """Of two layers, one each."""
    HALFWAY = "halfway"
    """One half-way, and one behind."""


Condition = NeuronCondition | Form | Written | FlattenDims | GivenField | Join | Recurrence | Nesting | Outputs
"""What of a primitive or a wiring is asked for."""

_CHOICES: Mapping[str, type[Form | Written | Join | Recurrence | Nesting | Outputs]] = {
    "form": Form,
    "written": Written,
    "join": Join,
    "recurrence": Recurrence,
    "nesting": Nesting,
    "outputs": Outputs,
}


def condition_to_json(condition: Condition) -> dict[str, Any]:
    """A condition as plain data."""
    if isinstance(condition, FlattenDims):
        return {"flatten": [condition.start, condition.end]}
    if isinstance(condition, GivenField):
        return {"field": condition.field}
    if not isinstance(condition, NeuronCondition):
        return {next(name for name, choices in _CHOICES.items() if isinstance(condition, choices)): condition.value}
    gains = condition.gains
    return {
        "neuron": {
            "off_zero": sorted(condition.off_zero),
            "one_voltage": condition.one_voltage,
            "below_step": sorted(condition.below_step),
            "spread": sorted(condition.spread),
            "tau": condition.tau,
            "off_threshold": condition.off_threshold,
            "circuit": condition.circuit.value,
            "gains": None if gains is None else [gains.r.value, gains.w_in.value],
            "dt": condition.dt,
        }
    }


def condition_from_json(document: Mapping[str, Any]) -> Condition:
    """The condition that :func:`condition_to_json` wrote."""
    ((name, value),) = document.items()
    if name == "flatten":
        return FlattenDims(*value)
    if name == "field":
        return GivenField(value)
    if name != "neuron":
        return _CHOICES[name](value)
    gains = value["gains"]
    return NeuronCondition(
        off_zero=frozenset(value["off_zero"]),
        one_voltage=value["one_voltage"],
        below_step=frozenset(value["below_step"]),
        spread=frozenset(value["spread"]),
        tau=value["tau"],
        off_threshold=value["off_threshold"],
        circuit=Circuit(value["circuit"]),
        gains=None if gains is None else Gains(*map(GainState, gains)),
        dt=value["dt"],
    )


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
    """A part of a primitive or a wiring that the library does not take, or does not run as NIR says.

    condition : which part
    status : refused, or how it ended otherwise
    message : the library's own words, normalised
    flatten_order : the order in which a Flatten joined its dimensions, where it is that which is wrong
    """

    condition: Condition
    status: str
    message: str
    flatten_order: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "condition": condition_to_json(self.condition),
            "status": self.status,
            "message": self.message,
            "flatten_order": list(self.flatten_order),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Refusal:
        """The refusal that :meth:`to_json` wrote."""
        condition = condition_from_json(document["condition"])
        return cls(condition, document["status"], document["message"], tuple(document["flatten_order"]))


@dataclass(frozen=True)
class Identified:
    """The rule of one primitive, and what of it is not taken.

    outputs, mismatched : how many outputs of the probes were compared, and how many the rule does not reproduce
    """

    rule: UpdateRule
    outputs: int = 0
    mismatched: int = 0
    ties: tuple[Tie, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def only_last(self) -> bool:
        """Whether nothing may come behind it: it is taken, and what it gives out is not."""
        conditions = [refusal.condition for refusal in self.refusals]
        return any(isinstance(each, NeuronCondition) and each.circuit is Circuit.CHAIN for each in conditions)

    @property
    def known(self) -> bool:
        """Whether the rule is known: it reproduces its own evidence.  A rule that does not is the closest of those that were
        tried, and nothing follows from it."""
        return self.outputs > 0 and self.mismatched <= STRAY * self.outputs

    @property
    def unruled(self) -> bool:
        """Whether it answered, and no rule that is known does so: of a neuron."""
        return self.outputs > 0 and not self.known

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "rule": self.rule.as_dict(),
            "outputs": self.outputs,
            "mismatched": self.mismatched,
            "ties": [{"axis": tie.axis, "values": list(tie.values), "splits": tie.splits} for tie in self.ties],
            "refusals": [refusal.to_json() for refusal in self.refusals],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Identified:
        """What :meth:`to_json` wrote."""
        ties = tuple(Tie(tie["axis"], tuple(tie["values"]), tie["splits"]) for tie in document["ties"])
        refusals = tuple(Refusal.from_json(refusal) for refusal in document["refusals"])
        return cls(UpdateRule.from_dict(document["rule"]), document["outputs"], document["mismatched"], ties, refusals)


class Domain(Mapping[Subject, Identified]):
    """What a backend's importer takes and declines: subject → what is known of it, primitives by name before wirings.

    Of a subject that is not in it nothing is known, and it is believed to be taken as NIR means it.
    """

    def __init__(
        self, known: Mapping[str, Identified] | Mapping[Wiring, Identified] | Mapping[Subject, Identified] | None = None
    ) -> None:
        pairs: list[tuple[Subject, Identified]] = [] if known is None else [(subject, known[subject]) for subject in known]  # type: ignore[index]
        self._known = dict(sorted(pairs, key=lambda pair: subject_order(pair[0])))

    def __getitem__(self, subject: Subject) -> Identified:
        return self._known[subject]

    def __iter__(self) -> Iterator[Subject]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"Domain({self._known!r})"

    def refuses(self, subject: Subject, *conditions: Condition) -> bool:
        """Whether any of some conditions is declined or misrun; a neuron's without gains, at whatever gains it was tried."""
        return any(
            each in conditions or (isinstance(each, NeuronCondition) and each.whatever_gains() in conditions)
            for each in self.declined(subject)
        )

    def declined(self, subject: Subject) -> tuple[Condition, ...]:
        """All conditions that are declined or misrun."""
        known = self.get(subject)
        return () if known is None else tuple(refusal.condition for refusal in known.refusals)

    def takes(self, subject: Subject) -> bool:
        """Whether an answer came in some form, whatever may come behind it."""
        known = self.get(subject)
        return known is None or (known.outputs > 0 and not known.only_last)

    def lacks(self, subject: Subject) -> bool:
        """Whether no answer came in any form that was tried."""
        known = self.get(subject)
        return known is not None and not known.outputs

    def misruns_unnamed(self, subject: Subject) -> bool:
        """Whether outputs were wrong, and nothing says under which condition."""
        known = self.get(subject)
        return known is not None and known.mismatched > 0 and not known.refusals

    def by_primitive(self) -> dict[str, UpdateRule]:
        """Primitive → rule, as the simulator takes it; one that is not here has NIR's meaning, or no rule that is known."""
        known = {subject: one for subject, one in self.items() if isinstance(subject, str)}
        return {kind: one.rule for kind, one in known.items() if one.known or not one.outputs}

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {subject_key(subject): one.to_json() for subject, one in self.items()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Domain:
        """The domain that :meth:`to_json` wrote."""
        wirings = {wiring.value: wiring for wiring in Wiring}
        return cls({wirings.get(name, name): Identified.from_json(one) for name, one in document.items()})


@dataclass(frozen=True)
class Fingerprint:
    """The rules of one backend, of one origin, by primitive (``LIF``, ``CubaLIF``, …), and what its importer makes of wirings.

    options : of a native neuron, as the library writes them; empty for imports
    """

    backend: str
    origin: Origin = Origin.IMPORT
    options: str = ""
    rules: Domain = field(default_factory=Domain)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"backend": self.backend, "side": self.origin.value, "options": self.options, "rules": self.rules.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Fingerprint:
        """The fingerprint that :meth:`to_json` wrote."""
        rules = Domain.from_json(document["rules"])
        return cls(document["backend"], Origin(document["side"]), document["options"], rules)

    def by_primitive(self) -> dict[str, UpdateRule]:
        """Primitive → rule, see :meth:`Domain.by_primitive`."""
        return self.rules.by_primitive()


def differing_axes(one: UpdateRule, other: UpdateRule = NIR_MEANING) -> tuple[str, ...]:
    """The axes in which two rules differ, in the order of the rule's axes."""
    return tuple(axis.name for axis in AXES if getattr(one, axis.name) is not getattr(other, axis.name))
