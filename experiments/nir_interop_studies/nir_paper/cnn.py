"""The convolutional network on N-MNIST: which gain and which rule it needs, and the first layer of every backend.

``cnn_sinabs.nir`` holds IF neurons with r = 1.  Sinabs, where it was trained, adds the input of a step as it is, so the graph
in NIR's meaning is that network at a step of 1 s: the gain of an input is r·dt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nir_interop.graphs import Array, read, validate
from nir_interop.reconcile.neurons import membrane, step_of
from nir_interop.rule import NIR_MEANING, Comparison, Floor, ResetKind, SpikeFrom, SpikesPerStep
from nir_interop.transfer.evaluation import Evaluator
from nir_interop.workers.live import LiveBackend
from nir_interop_studies.common import Options
from nir_interop_studies.nir_paper.crossing import Crossed, Task, as_file, first_layer, first_neurons, spikes_of, target_side
from nir_interop_studies.nir_paper.inputs import Frames, Held
from nir_interop_studies.nir_paper.paper import CNN_GRAPH, Paper
from nir_interop_studies.nir_paper.similarity import cosine, counts
from nir_interop_studies.tables import accuracy_columns

MEANT, FRAME, EULER = 1.0, 1e-3, 1e-4
"""Steps [s]: at which r = 1 adds an input as it is; of the frames; of the paper's other two tasks."""

NATIVES, QUICK_NATIVES = (EULER, FRAME, MEANT), (FRAME, MEANT)
"""Steps that importers are asked for with the graph as it is."""

SAMPLE_STEPS, SAMPLE_DIGITS = 60, 5

GAINS = (0.5, 0.1, FRAME, EULER)
"""Smaller gains at which NIR's meaning is run as well."""

_SUBTRACT = NIR_MEANING.but(reset=ResetKind.SUBTRACT)
_SEVERAL = NIR_MEANING.but(
    comparison=Comparison.AT_OR_ABOVE, spikes=SpikesPerStep.MANY, reset=ResetKind.SUBTRACT_ALL, floor=Floor.MINUS_THRESHOLD
)
PLAIN = "one spike a step, reset to zero"
RULES = {
    PLAIN: (NIR_MEANING, "NIR's meaning; Nengo's adapter, Norse, SpikingJelly"),
    "one spike a step, reset by subtraction": (_SUBTRACT, ""),
    "one spike a step, by subtraction, a step late in each layer": (_SUBTRACT.but(spike_from=SpikeFrom.PREVIOUS), "Spyx"),
    "several spikes a step, by subtraction, no lower than −θ": (_SEVERAL, "Sinabs, where it was trained"),
    "several spikes a step, by subtraction, no floor": (_SEVERAL.but(floor=Floor.NONE), "the equations, solved exactly"),
}
"""What is measured → its rule, and whose it is known to be from elsewhere."""


def task_of(options: Options, paper: Paper, recordings: Frames, digits: Held) -> Task:
    """The network, deployed at the frames' own millisecond."""
    sample = digits.samples[:SAMPLE_STEPS, :SAMPLE_DIGITS]
    natives = QUICK_NATIVES if options.quick else NATIVES
    return Task("cnn", paper.graph(CNN_GRAPH), MEANT, FRAME, natives, recordings, sample)


GAIN_COLUMNS = (
    "dataset", "backend", "version", "dt", "dt_used", "gain", "status", "error_type", "error_message", "first_layer_spikes",
    "spikes_at_gain_1", "recordings",
)  # fmt: skip


def gain_rows(task: Task, digits: Held, live: LiveBackend, runner: Evaluator) -> Iterator[dict[str, Any]]:
    """What a backend multiplies an input with, at each step, and what its first layer then does with the digits."""
    graph = read(task.path)
    name = first_neurons(graph)
    shape = validate(graph, finite=False)[name][1]
    short, given = first_layer(graph, shape), first_layer(as_file(task.path), shape)
    neuron = next(node for each, node in graph.primitives() if each == name)
    wanted = int(spikes_of(runner.rule(short, digits, MEANT, NIR_MEANING, name)).sum())
    for dt in task.natives:
        row: dict[str, Any] = dict.fromkeys(GAIN_COLUMNS)
        row |= {"dataset": digits.name, "backend": live.backend.name, "version": live.backend.version, "dt": dt}
        ran = runner.backend(live, given, digits, dt)
        row |= {"recordings": len(digits), "spikes_at_gain_1": wanted, **ran.failed}
        if ran.output is not None:
            # Where nothing is taken there is no rule to tell a gain from.
            rule = target_side(live, dt, runner.store).rule(neuron.kind)
            row |= {"dt_used": step_of(rule, dt), "gain": float(membrane(neuron, shape, dt, rule).gain.flat[0])}
            row |= {"status": "ran", "first_layer_spikes": int(ran.output.sum())}
        yield row


RULE_COLUMNS = (
    "dataset", "rule", "known_of", "gain", "accuracy", "accuracy_low", "accuracy_high", "right", "samples", "comparable",
    "digits", "first_layer_spikes", "spikes_of_speck", "rate_cosine_to_speck",
)  # fmt: skip


def rule_rows(task: Task, digits: Held, speck: Array | None, runner: Evaluator) -> Iterator[dict[str, Any]]:
    """What each rule makes of the network at the gain it was trained with, and NIR's meaning at smaller ones."""
    graph = read(task.path)
    name = first_neurons(graph)
    # The counts that the paper published are of its own ten recordings, whole.
    measured = speck if digits.comparable else None
    for words, gain in [*((words, MEANT) for words in RULES), *((PLAIN, gain) for gain in GAINS)]:
        rule, known = RULES[words]
        ran = runner.rule(graph, task.inputs, gain, rule)
        first = counts(spikes_of(runner.rule(graph, digits, gain, rule, name)))
        yield {
            "dataset": task.inputs.name,
            "rule": words,
            "known_of": known or None,
            "gain": gain,
            **accuracy_columns(ran, task.inputs.labels),
            "comparable": task.inputs.comparable,
            "digits": digits.name,
            "first_layer_spikes": int(first.sum()),
            "spikes_of_speck": None if measured is None else int(measured.sum()),
            "rate_cosine_to_speck": None if measured is None else cosine(first, measured),
        }


def first_spikes(task: Task, digits: Held, crossed: Sequence[Crossed], live: LiveBackend, runner: Evaluator) -> Array | None:
    r"""First layer of the rewritten network on the digits, axes (T, N, \*shape); None where it does not run."""
    name = first_neurons(read(task.path))
    for each in crossed:
        if each.plan is not None and each.ran.output is not None:
            return runner.backend(live, each.plan.graph, digits, each.dt, name).node
    return None
