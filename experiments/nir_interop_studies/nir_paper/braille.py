"""The recurrent network on Braille letters: its import in every backend, and what one change of its rule costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from nir_interop.vocabulary import Mode
from nir_interop_studies.nir_paper.crossing import Crossed, Task
from nir_interop_studies.nir_paper.inputs import Held
from nir_interop_studies.nir_paper.paper import BRAILLE_GRAPH, Paper
from nir_interop_studies.nir_paper.running import Ran, Runner, first_neurons
from nir_interop_studies.nir_paper.similarity import pair_rows

DT = 1e-4
SAMPLE_LETTERS = 20

PLAIN = "NIR's meaning"


def _same(graph: Graph) -> Graph:
    return graph


def _without_feedback_bias(graph: Graph) -> Graph:
    (name,) = _feedback(graph)
    node = graph.nodes[name]
    return _with(graph, name, "bias", np.zeros_like(node["bias"]))  # type: ignore[index]


def _without_feedback(graph: Graph) -> Graph:
    (name,) = _feedback(graph)
    node = graph.nodes[name]
    return _with(graph, name, "weight", np.zeros_like(node["weight"]))  # type: ignore[index]


def _eight_bits(graph: Graph) -> Graph:
    """Weights and biases of each layer in 255 equal steps, as chips store them."""
    for name in graph.of_kind("Affine"):
        node = graph.nodes[name]
        step = max(float(np.abs(node[each]).max()) for each in ("weight", "bias")) / 127  # type: ignore[index]
        for each in ("weight", "bias"):
            graph = _with(graph, name, each, np.rint(node[each] / step) * step)  # type: ignore[index]
    return graph


def _feedback(graph: Graph) -> tuple[str, ...]:
    """Affine nodes that feed what feeds them."""
    return tuple(name for name in graph.of_kind("Affine") if set(graph.into(name)) & set(graph.out_of(name)))


def _with(graph: Graph, name: str, parameter: str, value: Array) -> Graph:
    node = graph.nodes[name]
    if not isinstance(node, Node):
        raise ValueError(f"{name} is a graph")
    changed = Node(node.kind, {**node.params, parameter: value.astype(node[parameter].dtype)})
    return Graph({**graph.nodes, name: changed}, graph.edges, graph.metadata)


Change = Callable[[Graph], Graph]

CHANGES: dict[str, tuple[UpdateRule, Change, str]] = {
    PLAIN: (NIR_MEANING, _same, ""),
    "the recurrent bias is missing at the first step": (
        NIR_MEANING.but(feedback_bias=FeedbackBias.ABSENT),
        _same,
        "Norse, SpikingJelly",
    ),
    "the recurrent bias is dropped": (NIR_MEANING, _without_feedback_bias, "Spyx, of several changes"),
    "the recurrence is dropped": (NIR_MEANING, _without_feedback, ""),
    "reset by subtraction": (NIR_MEANING.but(reset=ResetKind.SUBTRACT), _same, "Spyx, of several changes"),
    "a step late in each layer": (NIR_MEANING.but(spike_from=SpikeFrom.PREVIOUS), _same, "Spyx, of several changes"),
    "by subtraction, a step late, no recurrent bias": (
        NIR_MEANING.but(reset=ResetKind.SUBTRACT, spike_from=SpikeFrom.PREVIOUS),
        _without_feedback_bias,
        "Spyx",
    ),
    "membrane before synapse": (NIR_MEANING.but(order=Order.MEMBRANE_FIRST), _same, ""),
    "exponential decay": (
        NIR_MEANING.but(decay=Decay.EXPONENTIAL, gain=Gain.COMPLEMENT, synapse_gain=Gain.COMPLEMENT),
        _same,
        "Nengo, in the LIF task",
    ),
    "exponential decay, Euler's gain": (NIR_MEANING.but(decay=Decay.EXPONENTIAL), _same, "Sinabs, Rockpool, in the LIF task"),
    "several spikes a step, by subtraction": (
        NIR_MEANING.but(spikes=SpikesPerStep.MANY, reset=ResetKind.SUBTRACT_ALL),
        _same,
        "Rockpool, of several changes",
    ),
    "weights of 8 bits": (NIR_MEANING, _eight_bits, "chips, of several changes"),
}
"""What is changed → rule, change of the graph, and whose change it is known to be from elsewhere."""


def task_of(paper: Paper, letters: Held) -> Task:
    """The network, at the step for which it was written."""
    path = paper.graph(BRAILLE_GRAPH)
    chosen = np.unique(np.linspace(0, len(letters) - 1, SAMPLE_LETTERS).astype(int))
    sample = np.ascontiguousarray(letters.samples[:, chosen])
    return Task("braille", path, DT, DT, (DT,), letters, sample, first_neurons(read(path)))


COLUMNS = (
    "dataset", "change", "known_of", "accuracy", "accuracy_low", "accuracy_high", "right", "samples", "comparable", "outputs",
    "mismatched", "classes_differing", "first_layer_rate_cosine", "first_layer_time_cosine",
)  # fmt: skip


def change_rows(task: Task, runner: Runner) -> Iterator[dict[str, Any]]:
    """Accuracy under NIR's meaning with one change, or with those of one platform."""
    graph = read(task.path)
    plain = runner.rule(graph, task.inputs, task.meant, NIR_MEANING, task.keep)
    for words, (rule, change, known) in CHANGES.items():
        ran = runner.rule(change(graph), task.inputs, task.meant, rule, task.keep)
        yield _row(task, words, known, ran, plain)


def _row(task: Task, words: str, known: str, ran: Ran, plain: Ran) -> dict[str, Any]:
    share = ran.accuracy(task.inputs.labels)
    if share is None or ran.output is None or plain.output is None or ran.layer is None or plain.layer is None:
        raise ValueError(f"the reference gives nothing: {ran.failed}")
    (pair,) = pair_rows("", "", "", {"ours": plain.layer, "theirs": ran.layer})
    return {
        "dataset": task.inputs.name,
        "change": words,
        "known_of": known or None,
        **share.columns("accuracy"),
        "right": share.right,
        "samples": share.samples,
        "comparable": False,
        "outputs": ran.output.size,
        "mismatched": int((ran.output != plain.output).sum()),
        "classes_differing": ran.read_otherwise(plain),
        "first_layer_rate_cosine": pair["rate_cosine"],
        "first_layer_time_cosine": pair["time_cosine"],
    }


def first_layers(crossed: Sequence[Crossed], mode: Mode) -> dict[str, Array]:
    """Backend → first layer on all letters, axes (T, N, neurons), of those that run."""
    return {each.backend.name: each.ran.layer for each in crossed if each.mode is mode and each.ran.layer is not None}
