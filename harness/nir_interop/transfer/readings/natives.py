"""The neurons that the installed libraries have of their own, as their rules are known: what a file's source may have run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping

from nir_interop.backends.environments import Backend
from nir_interop.fingerprint import Fingerprint, Origin
from nir_interop.graphs import NEURONS, Graph, components
from nir_interop.store.store import Store
from nir_interop.transfer.fingerprints import NativeRules, native_neurons
from nir_interop.vocabulary import CONTINUOUS, REFERENCE

Natives = Callable[[Graph], list[Fingerprint]]


def natives_of(backends: Iterable[Backend], store: Store, told: Callable[[str], None] = lambda text: None) -> Natives:
    """A function of an inlined graph: the own neurons of every installed library that has all of the graph's primitives.

    told : is called with a sentence before a library is asked: what is not in the store takes some seconds to identify
    """
    libraries = [each for each in backends if each.installed and each.name not in (REFERENCE, CONTINUOUS)]

    def asked(graph: Graph) -> list[Fingerprint]:
        kinds = [kind for kind in NEURONS if graph.of_kind(kind)]
        fed_back = any(len(members) > 1 for members in components(graph.nodes, graph.edges))
        names = ", ".join(each.name for each in libraries)
        told(f"the recording is held against the neurons of {names} (identified once, which takes some seconds)")
        found: dict[tuple[str, str], Fingerprint] = {}
        for library in libraries:
            for recurrent in (True, False) if fed_back else (False,):
                for each in _combined(native_neurons(library, store, recurrent=recurrent), kinds):
                    found.setdefault((each.backend, each.options), each)
        return list(found.values())

    return asked


def _combined(known: NativeRules, kinds: Iterable[str]) -> Iterator[Fingerprint]:
    """For every way to write a network, the options of its primitives together."""
    rules: Mapping[str, Fingerprint] = {each.options: each for each in known.fingerprints}
    wanted = tuple(kinds)
    for written in known.ways.values():
        if all(kind in written for kind in wanted):
            for options in itertools.product(*(written[kind] for kind in wanted)):
                together = {kind: rules[named].rules[kind] for kind, named in zip(wanted, options, strict=True)}
                yield Fingerprint(known.backend, Origin.NATIVE, " and ".join(dict.fromkeys(options)), together)
