r"""A module that a user trained in one library, moved to others.

::

    module ── recorded as its library's users run it ──► what is to be computed
       │
       ├── its own exporter ──► a file; what NIR means by it, held against the recording: what the exporter lost
       └── read by its adapter ──► a graph, under the rules of the library's own neurons, held against the recording

The file of its own exporter is moved where, under the rules of the library's own neurons, it gives every output of the
recording; else the graph that was read from the module itself, where that does.  Each target is given the exporter's file as
it is, and then a file that is rewritten for it, on inputs made for the graph and on the user's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nir_interop.agreement.inputs import InputSet, given, inputs_for
from nir_interop.agreement.replay import Replays, count, gap
from nir_interop.agreement.side import Side
from nir_interop.agreement.status import Agreement
from nir_interop.arrays import Array
from nir_interop.backends.environments import Backend
from nir_interop.backends.own_modules import OwnModule, hints_about
from nir_interop.errors import BadInput, InvalidGraph, NotExpressible, RunFailed
from nir_interop.explain.causes import Found
from nir_interop.explain.source import source_side
from nir_interop.fingerprint import Fingerprint, Subject
from nir_interop.graphs import NEURONS, Graph, Node, as_array, inline, read, read_corrected, validate
from nir_interop.learning import Share, classify
from nir_interop.reconcile.planner import fitted
from nir_interop.recording import Recording
from nir_interop.rule import NIR_MEANING, ResetKind, UpdateRule
from nir_interop.store.store import Store
from nir_interop.transfer.case import Case, explain, judge, replay, run
from nir_interop.transfer.fingerprints import native_neurons
from nir_interop.transfer.mixed_rules import unified
from nir_interop.transfer.reconciling import NIR, Reconciled, reconcile_with, side_of
from nir_interop.transfer.rewriting import settled, unless_it_hangs
from nir_interop.transfer.source_reading import Natives, SourceReading, matched
from nir_interop.verdict import Verdict
from nir_interop.vocabulary import REFERENCE, Blame, Cause, Readout, Status
from nir_interop.workers.live import LiveBackend
from nir_interop.workers.scheduler import TIME_LIMIT

OURS = "nir-interop"
"""By whom a graph was exported that was read from the module itself."""


class UserModule(Protocol):
    """A module of a user's, wherever it is."""

    @property
    def library(self) -> str:
        """Of which library it is."""
        ...

    def step(self) -> float | None:
        """The step [s] that it is meant at; None where its neurons have several."""
        ...

    def describe(self, dt: float) -> OwnModule:
        """What it computes.  Raises NotExpressible."""
        ...

    def record(self, stimulus: Array) -> Recording:
        r"""What it gives for an input, axes (T, B, \\*shape).  Raises CannotRecord, or RunFailed with the library's words."""
        ...

    def export(self, dt: float, path: Path) -> None:
        """Write a file by the library's own exporter.  Raises RunFailed, with the library's words."""
        ...


@dataclass(frozen=True, eq=False)
class Exported:
    """What a module's own exporter made of it.

    file : as it wrote it; graph : as it was meant (:func:`nir_interop.graphs.read_corrected`); None where it wrote none
    failure : why there is none
    side : the library's own neurons, as they read it; lost : what it lacks of what the module computes
    meaning : what NIR means by it, held against the module
    wrong : outputs of the module that NIR's meaning of it does not give; None where none could be compared
    """

    file: Graph | None = None
    graph: Graph | None = None
    failure: RunFailed | None = None
    side: Side | None = None
    lost: tuple[Found, ...] = ()
    meaning: Verdict | None = None
    wrong: int | None = None

    @property
    def faithful(self) -> bool:
        """Whether the library's own neurons compute the module's outputs from it."""
        return self.graph is not None and self.side is not None and not self.lost


@dataclass(frozen=True, eq=False)
class Understood:
    """A module, and what is known of it.

    own : what its adapter read from it, None where it could not: ``unread`` says why
    exported : what its own exporter made of it
    as_read : the graph that was read from the module, or its exporter's, and the rules under which it gives the recording
    graph, source : the same of what is moved; exported_by : who wrote it
    reading : which rules these are, where those of the module's own neurons are not known or did not give the recording
    missed : outputs of the recording that they do not give, rounding apart
    inputs, recorded : made for the graph, and what the module gave
    own_inputs, own_recorded : the user's
    """

    library: str
    dt: float
    own: OwnModule | None
    unread: str
    exported: Exported
    as_read: tuple[Graph, Side]
    graph: Graph
    source: Side
    exported_by: str
    reading: SourceReading | None
    missed: int
    inputs: InputSet
    recorded: Recording
    own_inputs: InputSet | None = None
    own_recorded: Recording | None = None
    lost: tuple[Found, ...] = field(default=())

    def hints(self, *concerns: str) -> dict[str, tuple[str, ...]]:
        """What the module's layers say of causes and statuses: sentence → layers."""
        return {} if self.own is None else hints_about(self.own, concerns)


@dataclass(frozen=True, eq=False)
class Moved:
    """A module in one target.

    natively : the verdict on the exporter's own file in the target, against the module; None where there is no file
    wrong : outputs of the module that the target does not give with it, None where none could be compared
    found : the rewritten file, and what is left
    on_own : what the target makes of it on the user's inputs, against the module; None without such
    accuracy : of the module and of the target on the user's inputs, where labels were given
    """

    backend: Backend
    natively: Verdict | None
    wrong: int | None
    found: Reconciled
    on_own: Agreement | None = None
    accuracy: tuple[Share, Share] | None = None

    @property
    def right(self) -> bool:
        """Whether the target gives every output of the module, rounding apart, on all inputs."""
        return self.found.plan.right and (self.on_own is None or self.on_own.wrong == 0)

    @property
    def exact(self) -> bool:
        """Whether it does to the last bit of single precision."""
        return self.right and self.found.plan.exact and (self.on_own is None or self.on_own.unequal == 0)


def understand(
    module: UserModule,
    library: Backend,
    store: Store,
    *,
    folder: Path,
    dt: float | None = None,
    input: Array | None = None,
    seed: int = 0,
    natives: Natives = lambda graph: [],
    time_limit: float,
) -> Understood:
    r"""Record a module, have it exported and read, and find the rules under which what was read gives the recording.

    library : the module's own
    folder : for the exporter's file
    dt : the step [s] that it is meant at; by default what the library means by it
    input : the user's own, axes (T, B, \*shape)
    seed : of the inputs that are made
    natives : all libraries' own neurons, which are asked for where the module's own do not give the recording

    Raises BadInput where the step has to be said, CannotRecord and RunFailed where the module cannot be run, and NotExpressible
    where there is neither a file nor a graph.
    """
    step = module.step() if dt is None else dt
    if step is None:
        raise BadInput(
            "the module's neurons have several time steps, or none: say which one is meant (dt, --dt), in seconds; "
            "time constants in the file are in seconds, and at another step decays are others"
        )
    own, unread = _described(module, step)
    written = _exported(module, step, folder / "exported.nir")
    base = graph_of(own) if own is not None else written.graph
    if base is None:
        failed = "" if written.failure is None else f"; its own exporter gives nothing either: {written.failure}"
        raise NotExpressible(f"{unread}{failed}")
    rules: Mapping[str, UpdateRule] = {}
    if own is not None:
        by_neuron, all_known = _own_rules(own, library, store)
        one = unified(base, by_neuron, step)
        base, rules = one.graph, one.rules
        if all_known:
            natives = _nobodys  # what steps each of its neurons is known
    side = Side(library.name, step, rules)
    inputs = as_it_takes(inputs_for(base, step, seed, time_limit=time_limit), own)
    recorded = module.record(inputs.input)
    of_user = None if input is None else module.record(input)
    graph, source, reading, missed = _read(base, side, inputs.input, recorded, natives)
    if written.graph is not None:
        written = _held(written, graph if own is not None else None, source, inputs.input, recorded)
    by = OURS if own is not None else library.name
    known = Understood(
        library.name, step, own, unread, written, (graph, source), graph, source, by, reading, missed, inputs, recorded,
        None if input is None else given(input), of_user,
    )  # fmt: skip
    return _chosen(known)


def as_it_takes(inputs: InputSet, own: OwnModule | None) -> InputSet:
    """Inputs for a module that says itself how many steps it runs; one that repeats a frame is given the fullest."""
    if own is None or own.steps is None:
        return inputs
    made = inputs.input[: own.steps]
    if own.constant:
        size = np.abs(made).reshape(*made.shape[:2], -1).sum(2)
        frames = made[size.argmax(0), np.arange(made.shape[1])]
        made = np.repeat(frames[None], own.steps, axis=0)
    return replace(inputs, input=made)


def _chosen(known: Understood) -> Understood:
    """The exporter's own file where it is as good as what was read from the module."""
    written = known.exported
    if known.own is None:
        return replace(known, lost=() if known.reading is None else known.reading.unexplained)
    if not written.faithful or written.graph is None or written.side is None or written.side.dt != known.dt:
        return known
    ours, theirs = (_missed(graph, side, known) for graph, side in ((known.graph, known.source), (written.graph, written.side)))
    if theirs > ours:
        return known
    return replace(known, graph=written.graph, source=written.side, exported_by=known.library, reading=None, missed=0)


def _missed(graph: Graph, side: Side, known: Understood) -> int:
    mask = gap(known.recorded, replay(inline(graph), known.inputs.input, side) or Recording({}))
    return known.recorded.output.size if mask is None else count(mask)


def _described(module: UserModule, dt: float) -> tuple[OwnModule | None, str]:
    try:
        own = module.describe(dt)
        validate(graph_of(own))
        return own, ""
    except (NotExpressible, InvalidGraph) as error:
        return None, str(error)


def _exported(module: UserModule, dt: float, path: Path) -> Exported:
    """The exporter's own file, read as it stands and as it was meant."""
    try:
        module.export(dt, path)
    except RunFailed as failed:
        return Exported(failure=failed)
    try:
        as_written = read(path)
        graph, _ = read_corrected(path)
        return Exported(as_written, graph)
    except BadInput as error:
        return Exported(failure=RunFailed(str(Status.WRITE_ERROR), type(error).__name__, str(error)))


def graph_of(own: OwnModule) -> Graph:
    """What an adapter read from a module, as a graph."""
    nodes: dict[str, Node | Graph] = {}
    for name, node in own.nodes.items():
        params: dict[str, Any] = {
            key: value if isinstance(value, str) else as_array(value) for key, value in node.params.items()
        }
        nodes[name] = Node(node.kind, params)
    return Graph(nodes, own.edges)


def _nobodys(graph: Graph) -> list[Fingerprint]:
    """No library's neurons."""
    return []


def _own_rules(own: OwnModule, library: Backend, store: Store) -> tuple[dict[str, UpdateRule], bool]:
    """Neuron of a module → the rule of those that its adapter says it is stepped like; and whether that is known of all.

    Where none is known, NIR's meaning.
    """
    neurons = [node for node in own.nodes.values() if node.options or node.reset]
    kinds = sorted({node.kind for node in neurons if node.options})
    known: dict[tuple[str, Subject], UpdateRule] = {}
    for recurrent in (False, True):
        if all((node.options, node.kind) in known for node in neurons if node.options):
            break
        for each in native_neurons(library, store, recurrent=recurrent, kinds=kinds).fingerprints:
            known |= {(each.options, kind): found.rule for kind, found in each.rules.items() if found.outputs}
    subtracts = NIR_MEANING.but(reset=ResetKind.SUBTRACT)
    neural = {name: node for name, node in own.nodes.items() if node.kind in NEURONS}
    rules = {
        name: known.get((node.options, node.kind), subtracts if node.reset == "subtract" else NIR_MEANING)
        for name, node in neural.items()
    }
    return rules, all((node.options, node.kind) in known for node in neural.values())


def _read(
    graph: Graph, side: Side, stimulus: Array, recorded: Recording, natives: Natives
) -> tuple[Graph, Side, SourceReading | None, int]:
    """A graph and the rules under which it gives a recording, and how many outputs it misses, rounding apart."""
    flat = inline(graph)
    found, _, lost = source_side(Replays(fitted(stimulus, flat)), flat, None, side, recorded)
    if not lost:
        return graph, replace(found, rules={**side.rules, **found.rules}), None, 0
    reading = matched(graph, side, fitted(stimulus, flat), recorded, natives)
    if reading.fits and reading.reading.changes:
        graph = reading.reading.graph
    return graph, reading.side(side), reading, 0 if reading.fits else reading.missed


def _held(written: Exported, intended: Graph | None, source: Side, stimulus: Array, recorded: Recording) -> Exported:
    """The exporter's file held against the module: by the library's own neurons, and by NIR's meaning."""
    assert written.graph is not None
    try:
        flat = inline(written.graph)
        fed = fitted(stimulus, flat)
        side, lost = settled(written.graph, intended, source, fed, recorded)
        meant = replay(flat, fed, Side(NIR, source.dt))
        if meant is None:
            return replace(written, side=side, lost=lost)
        mask = gap(recorded, meant)
        origin = side if intended is None else source
        case = Case(written.graph, fed, origin, Side(NIR, source.dt), recorded=recorded, intended=intended)
        meaning = explain(case, meant)
        return replace(written, side=side, lost=lost, meaning=meaning, wrong=None if mask is None else count(mask))
    except InvalidGraph:
        why = "the file means nothing at the module's inputs"
        return replace(written, side=source, lost=(Found(Cause.UNEXPLAINED, 0, (), Blame.EXPORTER, why),))


def move(
    known: Understood,
    backend: Backend,
    store: Store,
    backends: Mapping[str, Backend],
    *,
    labels: Array | None = None,
    time_limit: float,
) -> Moved:
    """Run the exporter's file in a target, rewrite what was understood for it, and hold both against the module.

    labels : the right class of each of the user's samples, (B,)
    """
    target = side_of(backend.name, known.dt, store, backends)
    written = known.exported
    with nullcontext() if backend.name == REFERENCE else LiveBackend(backend, limit=time_limit, option=TIME_LIMIT) as live:
        natively, wrong = (None, None) if written.file is None else _natively(known, target, live)
        options: dict[str, Any] = {"wanted": known.recorded, "lost": known.lost}
        found = reconcile_with(live, known.graph, known.inputs.input, known.source, target, **options)
        plan = found.plan
        if known.own_inputs is None or known.own_recorded is None or not plan.right:
            return Moved(backend, natively, wrong, found)
        fed = fitted(known.own_inputs.input, inline(plan.graph))
        case = Case(plan.graph, fed, plan.side, target, recorded=known.own_recorded)
        made = replay(inline(plan.graph), fed, target) if live is None else run(case, live)
        if made is None or isinstance(made, RunFailed):
            return Moved(backend, natively, wrong, found, Agreement(Status.WRONG_SHAPE))
        return Moved(backend, natively, wrong, found, judge(case, made), _accuracies(known.own_recorded, made, labels))


def _natively(known: Understood, target: Side, live: LiveBackend | None) -> tuple[Verdict, int | None]:
    """The verdict on the exporter's own file in a target, against the module, and how many outputs are wrong."""
    written = known.exported
    assert written.file is not None and written.graph is not None
    fed = fitted(known.inputs.input, inline(written.graph))
    source = known.as_read[1] if known.own is not None else written.side or known.source
    intended = None if known.own is None else known.as_read[0]
    case = Case(written.graph, fed, source, target, recorded=known.recorded, intended=intended)
    asked: Any = None
    if live is None:
        asked = replay(inline(written.graph), fed, target) or RunFailed(str(Status.RUN_ERROR))
    else:
        asked = run(replace(case, graph=written.file), unless_it_hangs(live, target))
    mask = gap(known.recorded, asked) if isinstance(asked, Recording) else None
    return explain(case, asked), None if mask is None else count(mask)


def _accuracies(meant: Recording, made: Recording, labels: Array | None) -> tuple[Share, Share] | None:
    if labels is None:
        return None
    ours, theirs = (Share.of(classify(each.output, Readout.RATE) == labels) for each in (meant, made))
    return ours, theirs


def moved(
    known: Understood,
    targets: Sequence[Backend],
    store: Store,
    backends: Mapping[str, Backend],
    *,
    labels: Array | None = None,
    time_limit: float,
    progress: Callable[[str], None] = lambda line: None,
    told: Callable[[Moved], None] = lambda one: None,
) -> tuple[Moved, ...]:
    """A module in every target; ``progress`` is told before each, ``told`` of each as it is done."""
    found = []
    for each in targets:
        progress(
            f"{each.name}: what is known of it is found once, which takes some seconds to a minute; then the file is written"
        )
        found.append(move(known, each, store, backends, labels=labels, time_limit=time_limit))
        told(found[-1])
    return tuple(found)
