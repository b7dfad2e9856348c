"""A backend as a callable (graph, stimulus, dt) → recording, in a warm worker of its own: what explaining is given.

Its own neurons are asked for in the same way: a graph is put into the layers of a network, which the library writes in its own
words.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import TracebackType

import execnet
import numpy as np
from numpy.typing import NDArray

from nir_interop.arrays import Array, save_arrays
from nir_interop.backends.environments import Backend
from nir_interop.errors import CannotBuild, RunFailed
from nir_interop.graphs import Graph, Node, inline, write
from nir_interop.networks import Affine, Feedback, Layer, Network, Neuron
from nir_interop.networks.serialization import NATIVE_NEURONS, document_of
from nir_interop.recording import Recording
from nir_interop.vocabulary import Idiom, Readout, Reset, Status
from nir_interop.workers.jobs import GRAPH, OK, RECORDING, STIMULUS, Cell, Compared, Job, Meaning, Native, NativeLabels, O, Ran
from nir_interop.workers.scheduler import Died, TimedOut, Worker


class LiveBackend:
    r"""Runs any graph in a library's own process.

    limit : seconds a run may take; the process is replaced after a timeout or a crash
    option : of the command line by which the limit can be raised; empty where there is none

    Calling it raises RunFailed where the library gives no recording.  Use it in a ``with`` block, or close it.
    """

    def __init__(self, backend: Backend, *, limit: float = 20.0, seed: int = 0, option: str = "") -> None:
        self.backend, self.limit, self.seed, self.option = backend, limit, seed, option
        self._folder = tempfile.TemporaryDirectory()
        self._group = execnet.Group()
        self._worker: Worker | None = None
        self._runs = 0

    def __enter__(self) -> LiveBackend:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._drop()
        self._folder.cleanup()

    def __call__(self, graph: Graph, stimulus: Array, dt: float) -> Recording:
        r"""The recording of an imported graph; stimulus with axes (T, B, \*shape)."""
        with self._files() as folder:
            write(folder / "graph.nir", graph)
            job = Meaning(graph=str(folder / "graph.nir"), stimulus="", dt=dt, nodes=_nodes(graph))
            return self._recorded(job, stimulus, folder)

    def native(
        self, reset: Reset, idiom: Idiom, label: str = "", *, recurrent: bool = False
    ) -> Callable[[Graph, Array, float], Recording]:
        """The library's own neurons as a callable: a graph's layers, built in its words.

        label : how its neurons are to be written, as the adapter's ``native_label`` says; empty: however they are
        recurrent : whether neurons that do not feed themselves do so through weights of 0

        Calling it raises RunFailed, refused, where the library cannot build a graph.
        """

        def run(graph: Graph, stimulus: Array, dt: float) -> Recording:
            try:
                network = network_of_graph(graph, dt, reset, recurrent=recurrent)
            except CannotBuild as error:
                raise RunFailed(str(Status.REFUSED), type(error).__name__, str(error)) from error
            with self._files() as folder:
                job = Native(network=document_of(network), idiom=idiom.value, stimulus="", label=label)
                return self._recorded(job, stimulus, folder)

        return run

    def native_labels(self, networks: Sequence[Network]) -> dict[Idiom, tuple[tuple[str, ...] | None, ...]]:
        """Of each network, how its neurons are written in each of the library's idioms; None where it cannot be built."""
        outcome = self.ask(NativeLabels(networks=tuple(document_of(network) for network in networks)))
        return {Idiom(idiom): labels for idiom, labels in outcome.labels.items()}

    def beside(self, source: Recording, graph: Graph, stimulus: Array, dt: float) -> tuple[Compared, Recording | None]:
        r"""How an import ends beside a recording, as a cell of the matrix does, and its own recording where it differs.

        The graph is imported and run as often as it takes to tell chance from an answer.

        stimulus : axes (T, B, \*shape)

        Raises RunFailed where the process does not come back.
        """
        with self._files() as folder:
            write(folder / GRAPH, graph)
            save_arrays(folder / STIMULUS, {"input": stimulus})
            source.save(folder / "source.npz")
            outcome = self.ask(
                Cell(
                    graph=GRAPH,
                    stimulus=STIMULUS,
                    source="source.npz",
                    dt=dt,
                    readout=str(Readout.RATE),
                    seed=self.seed,
                    nodes=_nodes(graph),
                    objects=str(folder),
                    folder=str(folder),
                )
            )
            return outcome, Recording.load(folder / RECORDING) if outcome.status == Status.MISMATCH else None

    @contextmanager
    def _files(self) -> Iterator[Path]:
        self._runs += 1
        folder = Path(self._folder.name) / str(self._runs)  # a worker remembers the stimuli it has read, by their paths
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def _recorded(self, job: Meaning | Native, stimulus: Array, folder: Path) -> Recording:
        given, save = folder / "stimulus.npz", folder / "recording.npz"
        save_arrays(given, {"input": stimulus})
        outcome = self.ask(replace(job, stimulus=str(given), save=str(save), seed=self.seed))
        left = outcome.missing if isinstance(outcome, Ran) else ()
        if outcome.status != OK:
            raise RunFailed(outcome.status, outcome.error_type, outcome.error_message, left)
        return replace(Recording.load(save), left_out=left)

    @contextmanager
    def within(self, limit: float) -> Iterator[None]:
        """Other seconds that a run may take."""
        kept, self.limit = self.limit, limit
        try:
            yield
        finally:
            self.limit = kept

    def start(self) -> Worker:
        """Start the process, if it is not yet there.

        Raises BackendMissing where the library does not start.
        """
        if self._worker is None:
            self._worker = Worker(self.backend, self._group, Path(self._folder.name))
            try:
                self._worker.greet()
            except BaseException:
                self._drop()
                raise
        return self._worker

    def close_worker(self) -> None:
        """End the process; the next run starts another."""
        self._drop()

    def ask(self, job: Job[O]) -> O:
        """Have a job done.  Raises RunFailed where the process does not come back."""
        worker = self.start()
        try:
            outcome = worker.work(job, self.limit)
            if worker.spent:
                self._drop()
            return outcome
        except TimedOut as late:
            self._drop()
            raise RunFailed(str(Status.TIMEOUT), message=late.told(self.option)) from None
        except Died as error:
            self._drop()
            raise RunFailed(str(Status.CRASH), message=error.how) from error

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


def _nodes(graph: Graph) -> tuple[str, ...]:
    return tuple(name for name, node in inline(graph).primitives() if node.kind not in ("Input", "Output"))


_KINDS = {kind.__name__: kind for kind in NATIVE_NEURONS}
_WEIGHTS = ("Affine", "Linear")
_IDENTITY = "identity"

Values = NDArray[np.float64]


def network_of_graph(graph: Graph, dt: float, reset: Reset, *, recurrent: bool = False) -> Network:
    """The network whose intended graph this is, behind an identity: weights that take up the first neurons' gains.

    recurrent : whether neurons that do not feed themselves do so through weights of 0

    A file holds single precision where a network holds what was meant: a parameter becomes the short number that rounds to
    it, in steps of ``dt`` or in its own unit, and a gain that rounds to tau/dt is tau/dt.

    Raises CannotBuild for a graph that has no layers: other primitives, several inputs, cycles of several neurons.
    """
    flat = inline(graph)
    inputs, outputs = flat.of_kind("Input"), flat.of_kind("Output")
    if len(inputs) != 1 or len(outputs) != 1:
        raise CannotBuild("a network has one input and one output")
    nodes = {name: node for name, node in flat.primitives() if node.kind not in ("Input", "Output")}
    unknown = sorted({node.kind for node in nodes.values()} - {*_KINDS, *_WEIGHTS})
    if unknown:
        raise CannotBuild(f"a network has no layer for a {unknown[0]}")
    feedback = _feedback(flat, nodes)
    sources = {name: tuple(each for each in flat.into(name) if each not in feedback) for name in nodes if name not in feedback}
    order = _ordered(sources, inputs[0])
    if flat.into(outputs[0]) != (order[-1],):
        raise CannotBuild("a network's output is its last layer")
    back = {flat.into(name)[0]: _weights(nodes[name]) for name in feedback}
    layers: list[Layer] = []
    for name in order:
        first = sources[name] == (inputs[0],)
        if first != (not layers) or (inputs[0] in sources[name] and not first):
            raise CannotBuild("a network's input feeds its first layer alone")
        before = () if first else tuple(_plain(each) for each in sources[name])
        layers.append(_layer(_plain(name), nodes[name], before, back.get(name), dt))
    shape = tuple(int(size) for size in flat.nodes[inputs[0]]["shape"])  # type: ignore[index]
    if len(shape) != 1:
        raise CannotBuild(f"a probe's input is a vector; here it has axes {shape}")
    layers[0] = replace(layers[0], inputs=(_IDENTITY,))
    layers.insert(0, Affine(name=_IDENTITY, weight=np.eye(shape[0])))
    if recurrent:
        layers = [_closed(layer, shape) for layer in layers]
    return Network("native", shape, tuple(layers), dt=dt, reset=reset)


def _plain(name: str) -> str:
    """A layer's name has no dots, which inlining leaves: they would be modules in modules."""
    return name.replace(".", "_")


def _feedback(graph: Graph, nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """The weights through which a neuron feeds itself."""
    return tuple(
        name
        for name, node in nodes.items()
        if node.kind in _WEIGHTS and len(graph.into(name)) == 1 and graph.into(name) == graph.out_of(name)
    )


def _ordered(sources: Mapping[str, tuple[str, ...]], entry: str) -> list[str]:
    try:
        return [name for name in TopologicalSorter(sources).static_order() if name != entry]
    except CycleError as error:
        raise CannotBuild("a network's only cycles are neurons that feed themselves through weights") from error


def _layer(name: str, node: Node, inputs: tuple[str, ...], back: Feedback | None, dt: float) -> Layer:
    if node.kind in _WEIGHTS:
        held = _weights(node)
        return Affine(name=name, inputs=inputs, weight=held.weight, bias=held.bias)
    kind: type[Neuron] = _KINDS[node.kind]
    values = {key: _meant(value, dt) for key, value in node.params.items()}
    for gain, time in (("r", "tau"), ("r", "tau_mem"), ("w_in", "tau_syn")):
        if gain in values and time in values:
            values[gain] = _matched(node[gain], values[gain], values[time] / np.float64(dt))
    if "r" in values and not any(key.startswith("tau") for key in values):
        values["r"] = _matched(node["r"], values["r"], np.full_like(values["r"], 1 / np.float64(dt)))
    return kind(name=name, inputs=inputs, feedback=back, **values)


def _closed(layer: Layer, shape: tuple[int, ...]) -> Layer:
    if isinstance(layer, Neuron) and layer.feedback is None:
        return replace(layer, feedback=Feedback(weight=np.zeros(shape * 2)))
    return layer


def _weights(node: Node) -> Feedback:
    bias = node.get("bias")
    weight = np.asarray(node["weight"], dtype=np.float64)
    return Feedback(weight=weight, bias=None if bias is None else np.asarray(bias, dtype=np.float64))


def _meant(value: Array, dt: float) -> Values:
    """The short numbers that round to these, in steps or as they are; numbers of double precision stay."""
    if value.dtype != np.float32:
        return np.asarray(value, dtype=np.float64)
    kept = np.asarray(value, dtype=np.float64)
    for unit in (dt, 1.0):
        short = np.vectorize(lambda each: float(f"{each:.6g}"), otypes=[np.float64])(kept / unit) * unit
        if np.array_equal(short.astype(np.float32), value):
            return np.asarray(short, dtype=np.float64)
    return kept


def _matched(held: Array, value: Values, matched: Values) -> Values:
    """The gain of one step, where it rounds to the number that is held."""
    return matched if np.array_equal(matched.astype(held.dtype), held) else value
