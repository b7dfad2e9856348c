"""The fingerprints of installed backends, identified once and kept in the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nir_interop.backends.adapter import Adapter
from nir_interop.backends.environments import Backend
from nir_interop.errors import BackendMissing
from nir_interop.explain.identify import KINDS, identify
from nir_interop.explain.probes import Variation, gains_of, neuron
from nir_interop.explain.probes.battery import DT
from nir_interop.explain.probes.neurons import SIZE, single
from nir_interop.fingerprint import Domain, Fingerprint, GivenField, Identified, Origin, Refusal, subject_key
from nir_interop.graphs import NEURONS, SPIKING, Array, Graph
from nir_interop.graphs.unwritten import newer_fields, without_fields
from nir_interop.networks import Network
from nir_interop.networks.serialization import NATIVE_NEURONS
from nir_interop.recording import Recording
from nir_interop.rule import NIR_MEANING, Comparison, UpdateRule
from nir_interop.store.kept_runs import KeptRuns
from nir_interop.store.keys import made_key
from nir_interop.store.store import Store
from nir_interop.vocabulary import Idiom, Reset, Status
from nir_interop.workers.jobs import Fingerprinted, Identify
from nir_interop.workers.live import LiveBackend, network_of_graph
from nir_interop.workers.progress import JobProgress

LIMIT, BRIEF = 10.0, 4.0
"""Seconds that one probe may take, and one on whose wiring importers are known to loop for ever."""

NATIVE_KINDS = tuple(kind.__name__ for kind in NATIVE_NEURONS)
"""Primitives that a network has layers of."""

Way = tuple[Reset, Idiom]
"""How a network is asked for, as far as it decides how its neurons are written."""


@dataclass(frozen=True)
class NativeRules:
    """A backend's own neurons.

    fingerprints : each with its options, in the library's own words, sorted by them
    ways : (reset, idiom) → primitive → options it is written with; several where its parameters decide
    """

    backend: str
    fingerprints: tuple[Fingerprint, ...]
    ways: Mapping[Way, Mapping[str, tuple[str, ...]]]

    def by_way(self) -> dict[Way, Fingerprint]:
        """(reset, idiom) → what building makes of each primitive; its options are those of all of them."""
        named = {fingerprint.options: fingerprint.rules for fingerprint in self.fingerprints}
        found: dict[Way, Fingerprint] = {}
        for way, written in self.ways.items():
            known = {
                kind: [named[each][kind] for each in names if named[each][kind].outputs] for kind, names in written.items()
            }
            rules = {kind: _merged(ones) for kind, ones in known.items() if ones}
            options = "; ".join(sorted({each for kind in rules for each in written[kind]}))
            found[way] = Fingerprint(self.backend, Origin.NATIVE, options, Domain(rules))
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain data, for the store."""
        ways = [
            {"reset": reset.value, "idiom": idiom.value, "options": {kind: list(names) for kind, names in written.items()}}
            for (reset, idiom), written in self.ways.items()
        ]
        return {"backend": self.backend, "fingerprints": [each.to_json() for each in self.fingerprints], "ways": ways}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> NativeRules:
        """The neurons that :meth:`to_json` wrote."""
        ways = {
            (Reset(each["reset"]), Idiom(each["idiom"])): {kind: tuple(names) for kind, names in each["options"].items()}
            for each in document["ways"]
        }
        fingerprints = tuple(Fingerprint.from_json(each) for each in document["fingerprints"])
        return cls(document["backend"], fingerprints, ways)


def import_fingerprint(
    backend: Backend, store: Store, *, kinds: Iterable[str] = NEURONS, live: LiveBackend | None = None
) -> Fingerprint:
    """What a backend's importer makes of NIR's primitives, from the store or by probing it now, live where it is running.

    kinds : neurons that are asked for, beside all primitives that are none; where the store knows all neurons, all are given
    """
    wanted = tuple(kind for kind in KINDS if kind not in NEURONS or kind in {*kinds})
    whole = made_key(__name__, asks=backend, what="import fingerprint")
    named = [subject_key(kind) for kind in wanted]
    key = whole if wanted == KINDS else made_key(__name__, asks=backend, what="import fingerprint", kinds=named)
    for each in dict.fromkeys((whole, key)):
        known = store.get("fingerprints", each)
        if known is not None:
            return Fingerprint.from_json(known)
    with _running(backend, live) as run, _one_thread():
        lacking = lacking_fields(run)

        def briefly(graph: Graph, stimulus: Array, dt: float) -> Recording:
            with run.within(BRIEF if _loops(graph) else run.limit):
                return run(without_fields(graph, lacking)[0], stimulus, dt)

        kept = KeptRuns(briefly, backend, store, loops=_loops)
        found = identify(kept, name=backend.name, kinds=wanted)
        found = replace(found, rules=_without_newer(found.rules, lacking))
    if not kept.unsettled:
        store.put("fingerprints", key, found.to_json())
    return found


def _loops(graph: Graph) -> bool:
    """Whether importers are known to loop for ever on what a graph has."""
    return len(graph.of_kind("Output")) > 1


def lacking_fields(live: LiveBackend) -> dict[str, tuple[str, ...]]:
    """Primitive → fields of NIR that the classes of the backend's own nir do not take."""
    fields = live.start().described.fields
    found = {kind: newer_fields(kind, taken) for kind, taken in fields.items()}
    return {kind: names for kind, names in found.items() if names}


def _without_newer(known: Domain, lacking: Mapping[str, tuple[str, ...]]) -> Domain:
    """What was identified of files without fields that the backend's own nir does not take, and that it reads no others."""
    return Domain(
        {
            subject: replace(one, refusals=(*one.refusals, *(_unread(subject, each) for each in lacking.get(subject, ()))))
            if isinstance(subject, str)
            else one
            for subject, one in known.items()
        }
    )


def _unread(kind: str, field: str) -> Refusal:
    """What nir.read ends with that hands a class a field which it does not have: what Python says."""
    words = f"TypeError: {kind}.__init__() got an unexpected keyword argument '{field}'"
    return Refusal(GivenField(field), str(Status.READ_ERROR), words)


def comparison_of(backend: Backend, store: Store | None, graph: Graph) -> Comparison | None:
    """How a backend's importer compares the membranes of a graph's neurons; None where it is not known or not one way.

    graph : inlined
    """
    kinds = [kind for kind in SPIKING if kind in NEURONS and graph.of_kind(kind)]
    if store is None:
        return None
    rules = import_fingerprint(backend, store, kinds=kinds).by_primitive()
    found = {rules.get(kind, NIR_MEANING).comparison for kind in kinds}
    return found.pop() if len(found) == 1 else None


def native_fingerprints(backend: Backend, store: Store, *, live: LiveBackend | None = None) -> dict[Way, Fingerprint]:
    """(reset, idiom) → what a library's own neurons do, as its adapter writes them; empty where it builds none.

    A primitive that it has no neuron for, or none with that reset, is not there.
    """
    return native_neurons(backend, store, live=live).by_way()


def native_rules(
    backend: Backend, network: Network, idiom: Idiom, store: Store, *, live: LiveBackend | None = None
) -> dict[str, UpdateRule]:
    """Primitive → rule of a network's neurons as a library builds them; primitives that are not there have none.

    Where a library writes neurons that feed themselves otherwise, theirs is the rule of a primitive that only they have.
    Where the store does not know all of a library's neurons, the network's alone are probed.
    """
    way = (network.reset, idiom)
    closed: dict[str, bool] = {}
    for layer in network.neurons():
        kind = type(layer).__name__
        closed[kind] = closed.get(kind, True) and layer.feedback is not None
    shapes = (False, True) if any(closed.values()) else (False,)
    kinds = [kind for kind in NATIVE_KINDS if kind in closed]
    found = [native_neurons(backend, store, recurrent=each, kinds=kinds, live=live).by_way() for each in shapes]
    plain, *recurrent = [each[way].by_primitive() if way in each else {} for each in found]
    own = {kind: rule for rules in recurrent for kind, rule in rules.items() if closed.get(kind)}
    return {kind: rule for kind, rule in {**plain, **own}.items() if kind in closed}


def native_neurons(
    backend: Backend,
    store: Store,
    *,
    recurrent: bool = False,
    kinds: Iterable[str] = NATIVE_KINDS,
    live: LiveBackend | None = None,
) -> NativeRules:
    """A library's own neurons, each with its options, from the store or by probing them now.

    recurrent : those that feed themselves, where the library writes them otherwise; else those that do not
    kinds : primitives that are asked for; where the store knows all of them, all are given
    """
    wanted = tuple(kinds)
    for each in dict.fromkeys((NATIVE_KINDS, wanted)):
        key = made_key(__name__, asks=backend, what="native fingerprints", kinds=each, recurrent=recurrent)
        known = store.get("fingerprints", key)
        if known is not None:
            return NativeRules.from_json(known)
    with _running(backend, live) as run, _one_thread():
        found, settled = _probed(run, store, wanted, recurrent)
    if settled:
        store.put("fingerprints", key, found.to_json())
    return found


def _running(backend: Backend, live: LiveBackend | None) -> AbstractContextManager[LiveBackend]:
    """One process for several questions, where there is one."""
    return LiveBackend(backend, limit=LIMIT) if live is None else nullcontext(live)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Predictions are many and small: two threads wait for each other longer than they compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _probed(live: LiveBackend, store: Store, kinds: tuple[str, ...], recurrent: bool) -> tuple[NativeRules, bool]:
    """The neurons, and whether each probe came to an end."""
    ways = _ways(live, kinds, recurrent=False)
    if recurrent:
        plain = {each for written in ways.values() for names in written.values() for each in names}
        own = _ways(live, kinds, recurrent=True)
        ways = {way: {kind: names for kind, names in written.items() if not plain & {*names}} for way, written in own.items()}
    asked: dict[str, tuple[Way, set[str]]] = {}
    for way, written in ways.items():
        for kind, names in written.items():
            for options in names:
                asked.setdefault(options, (way, set()))[1].add(kind)
    fingerprints, settled = [], True
    for options, (way, each) in sorted(asked.items()):
        run = live.native(*way, options, recurrent=recurrent)
        kept = KeptRuns(run, live.backend, store, f"{way} {options} {recurrent}")
        name = live.backend.name
        fingerprints.append(identify(kept, name=name, origin=Origin.NATIVE, options=options, kinds=sorted(each)))
        settled &= not kept.unsettled
    return NativeRules(live.backend.name, tuple(fingerprints), ways), settled


def _ways(live: LiveBackend, kinds: Iterable[str], *, recurrent: bool) -> dict[Way, dict[str, tuple[str, ...]]]:
    """How each primitive is written, wherever the probes put its r and w_in; nothing where it cannot be."""
    asked = [
        (reset, kind, network_of_graph(single(neuron(kind, DT, gains, Variation()), SIZE), DT, reset, recurrent=recurrent))
        for reset in Reset
        for kind in kinds
        for gains in gains_of(kind)
    ]
    found: dict[Way, dict[str, tuple[str, ...]]] = {}
    for idiom, labels in live.native_labels([network for *_, network in asked]).items():
        for (reset, kind, _), names in zip(asked, labels, strict=True):
            if names is not None:
                written = found.setdefault((reset, idiom), {})
                written[kind] = tuple(sorted({*written.get(kind, ()), *names}))
    return found


def _merged(known: list[Identified]) -> Identified:
    """One rule of neurons that are written in several ways, which their parameters decide.

    What is open for all of them is open, and what they all refuse is refused; where their rules differ, the one with most
    evidence stands.
    """
    chosen = max(known, key=lambda one: one.outputs)
    agreeing = [one for one in known if one.rule == chosen.rule]
    ties = [tie for tie in chosen.ties if all(any(tie.axis == each.axis for each in one.ties) for one in agreeing)]
    others = [{refusal.condition for refusal in one.refusals} for one in known]
    refusals = [each for each in chosen.refusals if all(each.condition in declined for declined in others)]
    outputs, mismatched = sum(one.outputs for one in agreeing), sum(one.mismatched for one in agreeing)
    return Identified(chosen.rule, outputs, mismatched, tuple(ties), tuple(refusals))


def identify_backend(adapter: Adapter, job: Identify, progress: JobProgress) -> Fingerprinted:
    """The fingerprints of the job's backend, of its importer and of its own neurons by reset and idiom."""
    backend, store = Backend.from_dict(job.backend), Store(Path(job.store))
    try:
        with LiveBackend(backend, limit=LIMIT) as live:
            imported = import_fingerprint(backend, store, live=live)
            own = native_fingerprints(backend, store, live=live)
    except BackendMissing as error:
        return Fingerprinted(status=str(Status.ENV_MISSING), error_type=type(error).__name__, error_message=str(error))
    native = {f"{reset.value} {idiom.value}": found.to_json() for (reset, idiom), found in own.items()}
    return Fingerprinted(imported=imported.to_json(), native=dict(sorted(native.items())))
