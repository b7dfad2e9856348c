"""Whether a library spoke of the very thing that it got wrong: only that is a warning.

A complaint counts where it names a node that is at fault, or the parameter that is.  That something is deprecated, or that
weights are scaled, tells nobody that the answer is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nir_interop.errors import InvalidGraph, OwnFailure
from nir_interop.printable import shown
from nir_interop.vocabulary import Cause, Status

if TYPE_CHECKING:  # tables are made of what is known without reading a graph
    from nir_interop.graphs import Graph

_RESISTANCE = ("r", "resistance")
_THRESHOLD = ("v_threshold", "threshold", "v_thr", "v_th", "vthr")
_LEAK = ("v_leak", "leak", "v_rest")
_RESET = ("v_reset", "reset", "reset_mechanism", "reset_method", "hard_reset", "soft_reset")
_STEP = ("dt", "time step", "time-step", "timestep", "time_step")
_TIME = ("tau", "tau_mem", "tau_syn", "tau_inv", "tau_mem_inv", "tau_syn_inv", "time constant", "decay", "alpha", "beta")
_INPUT = ("w_in", "input weight")
_CYCLE = ("recurrent", "recurrence", "cycle", "cycles", "cyclic", "loop", "feedback", "self-connection")

_WORDS: Mapping[Cause, tuple[str, ...]] = {
    Cause.RESET_LOST: _RESET,
    Cause.RESET_KIND: _RESET,
    Cause.RESET_VALUE_IGNORED: _RESET,
    Cause.RESET_LATE: _RESET,
    Cause.BIAS_LOST: ("bias",),
    Cause.BIAS_DROPPED: ("bias",),
    Cause.FEEDBACK_BIAS_AT_START: ("bias",),
    Cause.TAU_REWRITTEN: _TIME,
    Cause.TIME_UNIT: (*_TIME, "unit", "units"),
    Cause.DT_FIXED: _STEP,
    Cause.DT_DEFAULT: _STEP,
    Cause.DT_GUESSED: _STEP,
    Cause.DT_REQUESTED: _STEP,
    Cause.DECAY: _TIME,
    Cause.DECAY_CLAMPED: _TIME,
    Cause.GAIN: (*_RESISTANCE, *_INPUT, "gain"),
    Cause.RESISTANCE_IGNORED: _RESISTANCE,
    Cause.RESISTANCE_COLLAPSED: _RESISTANCE,
    Cause.THRESHOLD_COLLAPSED: _THRESHOLD,
    Cause.COMPARISON: _THRESHOLD,
    Cause.LEAK_IGNORED: _LEAK,
    Cause.LEAK_ON_SYNAPSE: _LEAK,
    Cause.LEAK_ADDED: _LEAK,
    Cause.START: (*_LEAK, *_RESET, "initial", "start value"),
    Cause.INPUT_WEIGHT_IGNORED: _INPUT,
    Cause.CYCLE_ORDER: _CYCLE,
    Cause.RECURRENCE_REWIRED: _CYCLE,
    Cause.JOIN_MISRUN: ("join", "joins", "merge", "sum", "addition", "multiple inputs", "more than one input"),
    Cause.STATE_CARRIED: ("state", "states"),
    Cause.FLATTEN_BATCH: ("start_dim", "end_dim", "batch"),
    Cause.FLATTEN_ORDER: ("start_dim", "end_dim"),
    Cause.POOL_PADDING: ("padding",),
    Cause.WEIGHT_TRANSPOSED: ("transposed", "transpose"),
    Cause.ROUNDING: ("precision", "float32", "float64", "quantised", "quantized"),
}
"""What a cause is about, in the words of NIR and of the libraries."""
_OF_A_NODE = (Cause.NODE_DROPPED, Cause.NODE_LOST, Cause.UNSUPPORTED, Cause.FLATTEN_BATCH, Cause.FLATTEN_ORDER)
"""Causes by which a whole node is at fault: its kind names it too."""
_OF_PARAMETERS = (Cause.PARAMETER_LOST, Cause.UNSUPPORTED)
"""Causes that name in their sentence which parameter they are about."""
_UNKNOWN = frozenset({Cause.UNEXPLAINED, Cause.DISCRETISATION})

_MUTE = frozenset({Status.TIMEOUT, Status.CRASH, Status.ENV_MISSING})
"""Ends without a message of the library's own."""


@dataclass(frozen=True)
class Suspects:
    """What is at fault.

    nodes : by their names in the inlined graph
    words : parameters and kinds, as a library may call them
    """

    nodes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, list[str]]:
        """As plain data."""
        return {"nodes": list(self.nodes), "words": list(self.words)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Suspects:
        """What :meth:`as_dict` wrote."""
        return cls(tuple(document["nodes"]), tuple(document["words"]))

    def named_in(self, complaint: str) -> bool:
        """Whether a complaint names one of them."""
        return any(_names_node(name, complaint) for name in self.nodes) or any(_names(word, complaint) for word in self.words)


class Said(Protocol):
    """What a library said; complaints are warnings, log records and printed warnings that are no mere deprecations."""

    @property
    def error_type(self) -> str: ...
    @property
    def error_message(self) -> str: ...
    @property
    def complaints(self) -> Sequence[str]: ...


def warned(status: Status, outcome: Said, suspects: Suspects | None, further: Iterable[str] = ()) -> bool:
    """Whether a library said what is wrong.

    An error says it itself.  Where nothing is wrong there is nothing to say.

    suspects : None where nobody knows: then any parameter of a node counts
    further : complaints from elsewhere
    """
    if status.agrees:
        return False
    if (status.is_error or status is Status.REFUSED) and status not in _MUTE:
        return outcome.error_type != OwnFailure.__name__ and bool(outcome.error_message or outcome.error_type)
    known = ANYTHING if suspects is None else suspects
    return any(known.named_in(each) for each in (*outcome.complaints, *further))


def at_fault(causes: Iterable[tuple[Cause, Sequence[str], str]], graph: Graph | None) -> Suspects | None:
    """What causes, each with its nodes and its sentence, are about; None where no cause is known."""
    known = [each for each in causes if each[0] not in _UNKNOWN]
    if not known:
        return None
    kinds = {} if graph is None else _kinds(graph)
    nodes: dict[str, None] = {}
    words: dict[str, None] = {}
    for cause, names, says in known:
        nodes |= dict.fromkeys(names)
        words |= dict.fromkeys(_WORDS.get(cause, ()))
        if cause in _OF_A_NODE:
            words |= dict.fromkeys(kinds[name] for name in names if name in kinds)
        if cause in _OF_PARAMETERS:
            words |= dict.fromkeys(word for word in ANYTHING.words if _names(word, says))
    return Suspects(tuple(nodes), tuple(words))


def before(graph: Graph, node: str | None) -> Suspects | None:
    """What may be at fault where only the first node that differs is known: it, and all that it hears."""
    from nir_interop.graphs import inline

    try:
        flat = inline(graph)
    except InvalidGraph:
        return None
    if node is None or node not in flat.nodes:
        return None
    reached, waiting = {node: None}, [node]
    while waiting:
        for source in flat.into(waiting.pop()):
            if source not in reached:
                reached[source] = None
                waiting.append(source)
    found = [(name, each) for name, each in flat.primitives() if name in reached and each.kind not in ("Input", "Output")]
    words = {word: None for _, each in found for name in each.params for word in _spelled(name)}
    return Suspects(tuple(name for name, _ in found), tuple(words))


def _spelled(parameter: str) -> tuple[str, ...]:
    """A parameter's name, as NIR has it and as libraries do."""
    if parameter in ("weight", "shape"):
        return ()
    groups = (_RESISTANCE, _THRESHOLD, _LEAK, _RESET, _INPUT, _TIME)
    return next((group for group in groups if parameter in group), (parameter,))


_OTHERS = ("scale", "bias", "padding", "stride", "dilation", "groups", "kernel_size", "start_dim", "end_dim", "delay")
ANYTHING = Suspects((), (*_RESISTANCE, *_THRESHOLD, *_LEAK, *_RESET, *_TIME, *_INPUT, *_OTHERS))
"""Any parameter of any primitive but weights and shapes, which every library speaks of."""


def _kinds(graph: Graph) -> dict[str, str]:
    from nir_interop.graphs import inline

    try:
        return {name: node.kind for name, node in inline(graph).primitives()}
    except InvalidGraph:
        return {name: node.kind for name, node in graph.nodes.items()}


def _names(word: str, text: str) -> bool:
    """Whether a text has a word by itself; a single letter only as it is written."""
    flags = re.NOFLAG if len(word) == 1 else re.IGNORECASE
    return re.search(rf"(?<![\w]){re.escape(word)}(?![\w])", text, flags) is not None


def _names_node(name: str, text: str) -> bool:
    """Whether a text names a node: a number or a letter only where it is quoted, or said to be one."""
    spelled = dict.fromkeys((name, name.replace(".", "_"), name.rpartition(".")[2], shown(name)[1:-1]))
    for each in spelled:
        if not each:
            continue
        sure = len(each) > 1 and not each.isdigit()
        here = rf"(?<![\w.]){re.escape(each)}(?![\w.]*\w)"
        said = rf"\b(?:nodes?|layers?|modules?|neurons?)\b[^\w'\"]*['\"]?{re.escape(each)}(?!\w)|['\"]{re.escape(each)}['\"]"
        if re.search(here if sure else said, text):
            return True
    return False
