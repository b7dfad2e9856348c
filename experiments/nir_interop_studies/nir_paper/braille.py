"""The recurrent network on Braille letters: its import in every backend, and what one change of its rule costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nir_interop.graphs import Array, Graph, Node, read
from nir_interop.rule import (
    NIR_MEANING,
    Decay,
    FeedbackBias,
    Gain,
    Order,
    ResetKind,
    SpikeFrom,
    SpikesPerStep,
    UpdateRule,
)
from nir_interop.transfer.evaluation import Evaluator
from nir_interop_studies.nir_paper.crossing import Task, first_neurons, spikes_of
from nir_interop_studies.nir_paper.inputs import Held, evenly
from nir_interop_studies.nir_paper.lif import DT
from nir_interop_studies.nir_paper.paper import BRAILLE_GRAPH, Paper
from nir_interop_studies.nir_paper.similarity import cosines
from nir_interop_studies.tables import comparison_columns

SAMPLE_LETTERS = 20

Change = Callable[[Graph], Graph]


def _same(graph: Graph) -> Graph:
    return graph


def _feedback_without(parameter: str) -> Change:
    """With 0 for a parameter of the Affine node that feeds what feeds it."""

    def change(graph: Graph) -> Graph:
        (name,) = (name for name in graph.of_kind("Affine") if set(graph.into(name)) & set(graph.out_of(name)))
        return _with(graph, name, parameter, np.zeros_like)

    return change


def _eight_bits(graph: Graph) -> Graph:
    """Weights and biases of each layer in 255 equal steps, as chips store them."""
    for name, node in [(name, node) for name, node in graph.primitives() if node.kind == "Affine"]:
        step = max(float(np.abs(node[each]).max()) for each in ("weight", "bias")) / 127
        for each in ("weight", "bias"):
            graph = _with(graph, name, each, lambda value, step=step: np.rint(value / step) * step)  # type: ignore[misc]
    return graph


def _with(graph: Graph, name: str, parameter: str, change: Callable[[Array], Array]) -> Graph:
    node = graph.nodes[name]
    if not isinstance(node, Node):
        raise ValueError(f"{name} is a graph")
    value = change(node[parameter]).astype(node[parameter].dtype)
    return Graph({**graph.nodes, name: Node(node.kind, {**node.params, parameter: value})}, graph.edges, graph.metadata)


_SUBTRACT = NIR_MEANING.but(reset=ResetKind.SUBTRACT)
_EXPONENTIAL = NIR_MEANING.but(decay=Decay.EXPONENTIAL)

CHANGES: dict[str, tuple[UpdateRule, Change, str]] = {
    "NIR's meaning": (NIR_MEANING, _same, ""),
    "the recurrent bias is missing at the first step": (
        NIR_MEANING.but(feedback_bias=FeedbackBias.ABSENT), _same, "Norse, SpikingJelly",
    ),
    "the recurrent bias is dropped": (NIR_MEANING, _feedback_without("bias"), "Spyx, of several changes"),
    "the recurrence is dropped": (NIR_MEANING, _feedback_without("weight"), ""),
    "reset by subtraction": (_SUBTRACT, _same, "Spyx, of several changes"),
    "a step late in each layer": (NIR_MEANING.but(spike_from=SpikeFrom.PREVIOUS), _same, "Spyx, of several changes"),
    "by subtraction, a step late, no recurrent bias": (
        _SUBTRACT.but(spike_from=SpikeFrom.PREVIOUS), _feedback_without("bias"), "Spyx",
    ),
    "membrane before synapse": (NIR_MEANING.but(order=Order.MEMBRANE_FIRST), _same, ""),
    "exponential decay": (
        _EXPONENTIAL.but(gain=Gain.COMPLEMENT, synapse_gain=Gain.COMPLEMENT), _same, "Nengo, in the LIF task",
    ),
    "exponential decay, Euler's gain": (_EXPONENTIAL, _same, "Sinabs, Rockpool, in the LIF task"),
    "several spikes a step, by subtraction": (
        NIR_MEANING.but(spikes=SpikesPerStep.MANY, reset=ResetKind.SUBTRACT_ALL), _same, "Rockpool, of several changes",
    ),
    "weights of 8 bits": (NIR_MEANING, _eight_bits, "chips, of several changes"),
}  # fmt: skip
"""What is changed → rule, change of the graph, and whose change it is known to be from elsewhere; the first is none."""


def task_of(paper: Paper, letters: Held) -> Task:
    """The network, at the step for which it was written."""
    path = paper.graph(BRAILLE_GRAPH)
    sample = np.ascontiguousarray(letters.samples[:, evenly(len(letters), SAMPLE_LETTERS)])
    return Task("braille", path, DT, DT, (DT,), letters, sample, first_neurons(read(path)))


COLUMNS = (
    "dataset", "change", "known_of", "accuracy", "accuracy_low", "accuracy_high", "right", "samples", "comparable", "outputs",
    "mismatched", "classes_differing", "first_layer_rate_cosine", "first_layer_time_cosine",
)  # fmt: skip


def change_rows(task: Task, runner: Evaluator) -> Iterator[dict[str, Any]]:
    """Accuracy under NIR's meaning with one change, or with those of one platform."""
    graph = read(task.path)
    plain = runner.rule(graph, task.inputs, task.meant, NIR_MEANING, task.keep)
    for words, (rule, change, known) in CHANGES.items():
        ran = runner.rule(change(graph), task.inputs, task.meant, rule, task.keep)
        yield {
            "dataset": task.inputs.name,
            "change": words,
            "known_of": known or None,
            "comparable": False,
            **comparison_columns(plain, ran, task.inputs.labels, "recording"),
            **{f"first_layer_{name}": value for name, value in cosines(spikes_of(plain), spikes_of(ran)).items()},
        }
