"""What is to be known of the libraries' rules before a graph crosses, found beside the training: it takes a minute once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from experiments.evaluation import one_thread
from harness.environments import backend
from harness.matrix.capture import Capture, guarded
from harness.matrix.fingerprints import import_fingerprint, native_rules
from harness.matrix.store import Store
from harness.networks import Network
from harness.vocabulary import Idiom


@contextmanager
def identifying(own: Mapping[str, Network], importers: Sequence[str], store: Path) -> Iterator[Callable[[], None]]:
    """Identify importers, and the neurons of the libraries that have networks, each in a process of its own.

    What it gives waits until all is in the store; what went wrong there goes wrong again, and is said, where it is needed.
    """
    context = multiprocessing.get_context("spawn")
    names = list(dict.fromkeys((*own, *importers)))
    folder = store.resolve()
    processes = [
        context.Process(target=_identify, args=(name, own.get(name), name in importers, folder), daemon=True) for name in names
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


def _identify(name: str, network: Network | None, imports: bool, store: Path) -> None:
    known, cells = backend(name), Store(store)
    with guarded(Capture()):
        if imports:
            import_fingerprint(known, cells)
        if network is not None:
            native_rules(known, network, Idiom.PORTABLE, cells)
