r"""A network of one's own on its way: its library exports it, importers take the graph, and what they make of it is explained.

Libraries that export run in this process, importers in one of their own.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import connection
from pathlib import Path

from nir_interop.agreement.side import Side
from nir_interop.arrays import Array
from nir_interop.backends.adapter import load_adapter
from nir_interop.backends.environments import backend
from nir_interop.fingerprint import Fingerprint
from nir_interop.graphs import NEURONS, read
from nir_interop.networks import Network
from nir_interop.recording import Recording
from nir_interop.store.store import Store
from nir_interop.transfer.case import Case, explain, run
from nir_interop.transfer.evaluation import one_thread
from nir_interop.transfer.fingerprints import LIMIT, import_fingerprint, native_rules
from nir_interop.transfer.rewriting import Reconciliation, rewrite
from nir_interop.verdict import Verdict
from nir_interop.vocabulary import REFERENCE, Idiom, Stage, Status
from nir_interop.workers.capture import Capture, guarded
from nir_interop.workers.confinement import die_with
from nir_interop.workers.error_messages import describe, failure
from nir_interop.workers.live import LiveBackend
from nir_interop.workers.progress import reseed

RUN_LIMIT = 60.0
"""Seconds that an importer may take to run a sample."""


@dataclass(frozen=True, eq=False)
class Exported:
    """What a library's exporter made of a network.

    graph : the file, None where there is none; failed : status, stage and the library's words then
    exporter : who wrote it
    native : what the network itself does with the sample, in its library
    """

    network: Network
    library: str
    idiom: Idiom
    graph: Path | None
    failed: Mapping[str, str] = field(default_factory=dict)
    native: Recording | None = None
    exporter: str = ""


@cache
def knowing(library: str) -> Idiom:
    """The idiom of those who know how to export from a library: what is worked around, where something is."""
    with LiveBackend(backend(library)) as live:
        return max(map(Idiom, live.start().described.idioms), key=list(Idiom).index)


def export(network: Network, library: str, idiom: Idiom, sample: Array, path: Path) -> Exported:
    r"""Build a network in a library, run the sample, and write what the library's exporter gives.

    sample : axes (T, B, \*shape)
    """
    import nir

    adapter = load_adapter(library)
    stage, native = Stage.BUILD, None
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with guarded(Capture()):
        try:
            adapter.prepare()
            reseed(0)
            model = adapter.build(network, network.dt, idiom)
            stage = Stage.NATIVE
            native = adapter.run(model, sample.copy())
            stage = Stage.EXPORT
            graph = adapter.export(model, sample[0, :1], network.dt)
            stage = Stage.WRITE
            # The order of edges means nothing, and some exporters take it from a set.
            graph.edges.sort()
            nir.write(path, graph)
            stage = Stage.READ
            read(path)
        except Exception as error:
            path.unlink(missing_ok=True)
            declined = stage is Stage.EXPORT and adapter.refuses(str(error))
            words = failure(error, _STATUS.get(stage, Status.EXPORT_ERROR) if not declined else Status.REFUSED, stage)
            return Exported(network, library, idiom, None, words.words(), native)
    return Exported(network, library, idiom, path, {}, native, library)


def with_intended(exported: Exported, path: Path) -> Exported:
    """Where a library writes no graph: the one that a faultless exporter would have written, by the reference.

    Raises NotExpressible where NIR cannot express the network.
    """
    import nir

    path.parent.mkdir(parents=True, exist_ok=True)
    nir.write(path, exported.network.to_nir())
    return replace(exported, graph=path.resolve(), exporter=REFERENCE)


def refusal(call: Callable[[], object], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a library answers to a call that it cannot do: ``error_type``, ``error_message``, ``error_at``; empty where it can.

    known : texts of this run, paths for instance → what stands for them
    """
    with guarded(Capture()):
        try:
            call()
        except Exception as error:
            return describe(error, known)
    return {}


def native(network: Network, library: str, idiom: Idiom, inputs: Array) -> Recording:
    r"""What a network computes in its own library; inputs with axes (T, B, \*shape)."""
    with guarded(Capture()):
        adapter = load_adapter(library)
        adapter.prepare()
        reseed(0)
        return adapter.run(adapter.build(network, network.dt, idiom), inputs.copy())


def native_side(network: Network, library: str, idiom: Idiom, store: Store, dt: float | None = None) -> Side:
    """A library as the source of a network; dt : the step [s] at which its graph is the network, where that is another."""
    return Side(library, network.dt if dt is None else dt, native_rules(backend(library), network, idiom, store))


@dataclass(frozen=True, eq=False)
class Importer:
    """A library's importer, running.

    fixed_dt : its only step [s], where it takes none
    """

    name: str
    known: Fingerprint
    live: LiveBackend
    fixed_dt: float | None

    def side(self, dt: float) -> Side:
        """It as the target of a case, asked for a step [s]."""
        return Side.of(self.known, dt, self.name)

    def explain(self, case: Case) -> Verdict:
        """Run the graph of a case, and say what makes the recording differ from what was meant."""
        return explain(case, run(case, self.live))

    def rewrite(self, case: Case) -> Reconciliation:
        """Rewrite the graph of a case so that the importer computes what the source did."""
        return rewrite(case, self.live)


@contextmanager
def importing(name: str, networks: Iterable[Network], store: Store) -> Iterator[Importer]:
    """An importer in a process of its own, for graphs of these networks."""
    known = import_fingerprint(backend(name), store, kinds=neurons_in(networks))
    with LiveBackend(backend(name), limit=RUN_LIMIT) as live:
        yield Importer(name, known, live, live.start().described.fixed_dt)


def neurons_in(networks: Iterable[Network]) -> tuple[str, ...]:
    """Primitives of networks' neurons, and those that a rewriting may put in their place: a synapse only where there is one."""
    synapse = any(type(layer).__name__.startswith("Cuba") for network in networks for layer in network.neurons())
    return tuple(kind for kind in NEURONS if synapse or not kind.startswith("Cuba"))


_AT_ONCE = 3
"""Libraries that are probed side by side: each has two processes, and a probe has a limit of time."""


@contextmanager
def identifying(own: Mapping[str, Network], importers: Sequence[str], store: Store) -> Iterator[Callable[[], None]]:
    """Identify importers, and the neurons of the libraries that have networks, each in a process of its own.

    own : library → its network; where there are some, only what :func:`neurons_in` them names is asked of the importers

    What it gives waits until all is in the store; what went wrong there goes wrong again, and is said, where it is needed.
    """
    context = multiprocessing.get_context("spawn")
    names = list(dict.fromkeys((*own, *importers)))
    folder, kinds = store.path, neurons_in(own.values()) if own else NEURONS
    processes = [
        context.Process(target=_identify, args=(name, own.get(name), kinds if name in importers else (), folder), daemon=True)
        for name in names
    ]

    waiting = processes.copy()

    def running() -> list[int]:
        """Handles of those that run, after as many were started as may run at once."""
        while True:
            handles = [each.sentinel for each in processes if each.pid is not None and each.is_alive()]
            if not waiting or len(handles) >= _AT_ONCE:
                return handles
            with one_thread():
                waiting.pop(0).start()

    def wait() -> None:
        while handles := running():
            connection.wait(handles)

    try:
        running()
        yield wait
    finally:
        for process in processes:
            if process.pid is not None:  # else an interrupt came before it was started
                process.terminate()


def _identify(name: str, network: Network | None, kinds: Sequence[str], store: Path) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        die_with(parent.pid)
    known, cells = backend(name), Store(store)
    with guarded(Capture()), LiveBackend(known, limit=LIMIT) as live:
        if kinds:
            import_fingerprint(known, cells, kinds=kinds, live=live)
        if network is not None:
            native_rules(known, network, Idiom.PORTABLE, cells, live=live)


_STATUS = {Stage.WRITE: Status.WRITE_ERROR, Stage.READ: Status.READ_ERROR}
