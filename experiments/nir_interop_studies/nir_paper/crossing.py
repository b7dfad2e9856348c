"""A network through every backend: as its file is, and rewritten; on all recordings, with what makes it differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nir_interop.agreement.side import Side
from nir_interop.backends.environments import Backend
from nir_interop.errors import RunFailed
from nir_interop.graphs import Array, Graph, Node, inline, read, write
from nir_interop.reconcile.model import Plan
from nir_interop.recording import Recording
from nir_interop.store.store import Store
from nir_interop.transfer.case import Case, explain, run
from nir_interop.transfer.evaluation import Evaluated, Evaluator
from nir_interop.transfer.fingerprints import import_fingerprint
from nir_interop.transfer.reconciling import NIR
from nir_interop.transfer.rewriting import reconcile
from nir_interop.verdict import CauseShare
from nir_interop.vocabulary import CONTINUOUS, REFERENCE, Mode
from nir_interop.workers.live import LiveBackend
from nir_interop_studies.nir_paper.inputs import Inputs
from nir_interop_studies.tables import accuracy_columns, comparison_columns

BATCH = 10
"""Recordings a run: 300 steps of all layers of the paper's network are then some 30 MB."""
LIMIT = 120.0
"""Seconds that a batch may take."""


@dataclass(frozen=True, eq=False)
class Task:
    r"""A network and what it is fed.

    meant : the step [s] at which the graph, in NIR's meaning, is the network that was trained
    asked : the step that importers are asked for with the rewritten graph
    natives : the steps that they are asked for with the graph as it is
    sample : of the inputs, on which a difference is explained and a rewriting is checked; axes (T, B, \*shape)
    keep : the node whose spikes of all recordings are kept, empty for none
    """

    name: str
    path: Path
    meant: float
    asked: float
    natives: tuple[float, ...]
    inputs: Inputs
    sample: Array
    keep: str = ""

    def case(self, target: Side) -> Case:
        """The sample through a target, held against what the graph means."""
        return Case(read(self.path), self.sample, Side(NIR, self.meant), target)


@dataclass(frozen=True, eq=False)
class Crossed:
    """A graph in a backend.

    causes : why it differs, or what is left of that; plan : how it was rewritten, None of the graph as it is
    """

    backend: Backend
    dt: float
    ran: Evaluated
    causes: Sequence[CauseShare]
    plan: Plan | None = None

    @property
    def mode(self) -> Mode:
        """Whether it was rewritten."""
        return Mode.NATIVE if self.plan is None else Mode.RECONCILED


def target_side(live: LiveBackend, dt: float, store: Store) -> Side:
    """What is known of a backend's importer; of our own there is nothing to find out."""
    name = live.backend.name
    return Side(name, dt) if name in (CONTINUOUS, REFERENCE) else Side.of(import_fingerprint(live.backend, store), dt, name)


def cross(task: Task, live: LiveBackend, runner: Evaluator, graphs: Path, advance: Callable[[], None]) -> Iterator[Crossed]:
    """Run the graph in a backend, natively at each step and rewritten; ``advance`` is called after each.

    graphs : where rewritten graphs go
    """
    graph, backend = as_file(task.path), live.backend
    for dt in task.natives:
        case, ran = task.case(target_side(live, dt, runner.store)), runner.backend(live, graph, task.inputs, dt, task.keep)
        words = ran.failed
        made = RunFailed(words["status"], words["error_type"], words["error_message"]) if words else _sampled(case, graph, live)
        yield Crossed(backend, dt, ran, explain(case, made).causes)
        advance()
    if backend.name == CONTINUOUS:
        return
    found = reconcile(task.case(target_side(live, task.asked, runner.store)), live)
    if found.plan.passes:
        graphs.mkdir(parents=True, exist_ok=True)
        write(graphs / f"{task.name}_for_{backend.name}.nir", found.plan.graph)
    ran = runner.backend(live, found.plan.graph, task.inputs, task.asked, task.keep)
    yield Crossed(backend, task.asked, ran, found.remaining, found.plan)
    advance()


def _sampled(case: Case, graph: Graph, live: LiveBackend) -> Recording | RunFailed:
    """What a backend makes of the sample, by a graph as its file is."""
    return run(case, lambda _, stimulus, dt: live(graph, stimulus, dt))


def as_file(path: Path) -> Graph:
    """A graph with the fields that its file has, and not those that ``nir.read`` fills in: other versions of nir know fewer."""
    with h5py.File(path) as file:
        there: list[str] = []
        file.visit(lambda name: there.append(name.rpartition("/")[2]))
    return _without(read(path), _FILLED.difference(there))


_FILLED = frozenset({"v_reset", "w_in"})


def _without(graph: Graph, fields: frozenset[str]) -> Graph:
    nodes = {
        name: _without(node, fields)
        if isinstance(node, Graph)
        else Node(node.kind, {each: value for each, value in node.params.items() if each not in fields}, node.metadata)
        for name, node in graph.nodes.items()
    }
    return Graph(nodes, graph.edges, graph.metadata)


def parts(task: Task, backends: Sequence[Backend]) -> int:
    """How often :func:`cross` advances."""
    return sum(len(task.natives) + (backend.name != CONTINUOUS) for backend in backends)


COLUMNS = (
    "dataset", "network", "backend", "version", "mode", "dt", "status", "error_type", "error_message", "accuracy",
    "accuracy_low", "accuracy_high", "right", "samples", "comparable", "outputs", "mismatched", "recordings_differing",
    "classes_differing", "causes", "why", "remedy", "sample_exact",
)  # fmt: skip


def rows(task: Task, crossed: Sequence[Crossed]) -> list[dict[str, Any]]:
    """The table of a task; differences are from what the graph means, as the reference computes it."""
    meant = next(
        each.ran for each in crossed if each.backend.name == REFERENCE and each.mode is Mode.NATIVE and each.dt == task.meant
    )
    helped = {
        each.backend.name: "; ".join(applied.why for applied in each.plan.passes)
        for each in crossed
        if each.plan is not None and each.plan.exact
    }
    return [_row(task, each, meant, helped.get(each.backend.name, "")) for each in crossed]


def _row(task: Task, each: Crossed, meant: Evaluated, helped: str) -> dict[str, Any]:
    """helped : what made the graph run in the same backend, in the words of the passes; empty where nothing did."""
    plan, failed = each.plan, each.ran.failed
    row: dict[str, Any] = dict.fromkeys(COLUMNS) | {
        "dataset": task.inputs.name,
        "network": task.path.name,
        "backend": each.backend.name,
        "version": each.backend.version,
        "mode": str(each.mode),
        "dt": each.dt,
        "comparable": task.inputs.comparable,
        "samples": len(task.inputs),
        "causes": _listed(str(share.cause) for share in each.causes),
        "why": _listed(share.text for share in each.causes),
        "remedy": "; ".join(applied.name for applied in plan.passes) or None if plan is not None else None,
        "sample_exact": None if plan is None else plan.exact,
        **{name: words for name, words in failed.items() if name in COLUMNS},
    }
    output, labels = each.ran.output, task.inputs.labels
    if output is None:
        if helped and not each.causes:
            row["why"] = f"no probe fails so; it runs once rewritten, because {helped}"
        return row
    if meant.output is None or meant.output.shape != output.shape:
        return row | {"status": "ran", **accuracy_columns(each.ran, labels)}
    return row | comparison_columns(meant, each.ran, labels, "recording")


def _listed(words: Iterable[str]) -> str | None:
    return "; ".join(dict.fromkeys(words)) or None


def spikes_of(ran: Evaluated) -> Array:
    r"""Spikes of the node that was asked for, axes (T, N, \*shape).

    Raises ValueError where there are none.
    """
    if ran.node is None:
        raise ValueError(f"no spikes were kept: {dict(ran.failed)}")
    return ran.node


def first_layers(crossed: Sequence[Crossed], mode: Mode) -> dict[str, Array]:
    """Backend → first layer on all recordings, axes (T, N, neurons), of those that run."""
    return {each.backend.name: each.ran.node for each in crossed if each.mode is mode and each.ran.node is not None}


def first_neurons(graph: Graph) -> str:
    """The first neurons of a chain."""
    flat = inline(graph)
    (name,) = flat.of_kind("Input")
    while not flat.nodes[name].kind.endswith("IF"):
        name = flat.out_of(name)[0]
    return name


def first_layer(graph: Graph, shape: tuple[int, ...]) -> Graph:
    """The graph up to its first neurons, of a shape."""
    last, flat = first_neurons(graph), inline(graph)
    chain = list(flat.of_kind("Input"))
    while chain[-1] != last:
        chain.append(flat.out_of(chain[-1])[0])
    nodes = {each: flat.nodes[each] for each in chain} | {"output": Node("Output", {"shape": np.array(shape)})}
    return Graph(nodes, tuple(zip(chain, (*chain[1:], "output"), strict=True)))
