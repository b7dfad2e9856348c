"""What is to be known of the libraries' rules before a graph crosses, found beside the training: it takes a minute once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from nir_interop.backends.environments import backend
from nir_interop.graphs import NEURONS
from nir_interop.networks import Network
from nir_interop.store.store import Store
from nir_interop.transfer.evaluation import one_thread
from nir_interop.transfer.fingerprints import LIMIT, import_fingerprint, native_rules
from nir_interop.vocabulary import Idiom
from nir_interop.workers.capture import Capture, guarded
from nir_interop.workers.confinement import die_with
from nir_interop.workers.live import LiveBackend


def neurons_in(networks: Iterable[Network]) -> tuple[str, ...]:
    """Primitives of networks' neurons, and those that a rewriting may put in their place: a synapse only where there is one."""
    synapse = any(type(layer).__name__.startswith("Cuba") for network in networks for layer in network.neurons())
    return tuple(kind for kind in NEURONS if synapse or not kind.startswith("Cuba"))


@contextmanager
def identifying(own: Mapping[str, Network], importers: Sequence[str], store: Path) -> Iterator[Callable[[], None]]:
    """Identify importers, and the neurons of the libraries that have networks, each in a process of its own.

    own : library → its network; where there are some, only what :func:`neurons_in` them names is asked of the importers

    What it gives waits until all is in the store; what went wrong there goes wrong again, and is said, where it is needed.
    """
    context = multiprocessing.get_context("spawn")
    names = list(dict.fromkeys((*own, *importers)))
    folder, kinds = store.resolve(), neurons_in(own.values()) if own else NEURONS
    processes = [
        context.Process(target=_identify, args=(name, own.get(name), kinds if name in importers else (), folder), daemon=True)
        for name in names
    ]

    def wait() -> None:
        for process in processes:
            process.join()

    try:
        with one_thread():
            for process in processes:
                process.start()
        yield wait
    finally:
        for process in processes:
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
