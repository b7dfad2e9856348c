"""How a graph file is to be read so that it gives what its source recorded: every output, or all but what rounding explains."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from nir_interop.agreement.guided import guided
from nir_interop.agreement.replay import Mask, Replays, count, gap
from nir_interop.agreement.side import Side
from nir_interop.backends.environments import Backend
from nir_interop.compare.comparison import status_of
from nir_interop.compare.rasters import is_counts
from nir_interop.errors import InvalidGraph
from nir_interop.explain.causes import Found
from nir_interop.fingerprint import Domain, Fingerprint, Origin
from nir_interop.graphs import NEURONS, Array, Graph, components, inline, validate
from nir_interop.recording import Recording
from nir_interop.reference import simulate
from nir_interop.rule import Precision
from nir_interop.store.store import Store
from nir_interop.transfer.fingerprints import NativeRules, native_neurons
from nir_interop.transfer.readings import Reading, forms, further_steps, named_rules, reading, readings, steps
from nir_interop.transfer.reset_values import GRID, found_values, open_values, to_value
from nir_interop.vocabulary import CONTINUOUS, REFERENCE, Blame, Cause, Status

SAMPLES, STEPS = 4, 120
"""Of a recording, what every reading is held against first: the samples with most in them, from the first step on."""
CLOSE = 0.02
"""The share of outputs beyond which a reading is not looked at more closely."""
MOST = 24
"""Readings that are held against the whole recording."""
LEAST = 8
"""Readings there is time for in any case, the nearest to NIR's meaning or to the recording first."""
WORK = 2e9
"""Elements of neurons, steps and samples that may be computed while readings are held against part of a recording."""
MOST_ALSO = 6
"""Readings that fit as well and are named on a terminal."""


@dataclass(frozen=True)
class SourceReading:
    """How a file is to be read so that it gives what was recorded.

    reading : the simplest that does; else the closest
    missed, outputs : outputs that it does not give, and all
    rounded : that they differ by rounding alone has been shown
    also : further readings that give every output of this recording, and are not the same
    tried : how many readings were held against it
    plain : it is the reading that the caller named
    vacuous : so little happens in the recording that much gives it
    """

    reading: Reading
    missed: int
    outputs: int
    rounded: bool = False
    also: tuple[Reading, ...] = ()
    tried: int = 1
    plain: bool = False
    vacuous: bool = False

    @property
    def fits(self) -> bool:
        """Whether it gives the recording."""
        return self.missed == 0 or self.rounded

    @property
    def says(self) -> str:
        """The finding in a sentence or two."""
        if not self.fits:
            closest = f"the closest, {self.reading.says}, misses {self.missed} of {self.outputs} outputs"
            return f"none of {self.tried} readings of this file gives the recording; {closest}"
        how = f"; {self.missed} of {self.outputs} outputs differ, by rounding" if self.missed else ""
        hint = f": `{self.reading.options}`" if self.reading.options else ""
        silent = "" if self.plain else f"; the file does not say so{hint}"
        little = "; too little fires in it to tell much" if self.vacuous else ""
        return f"the recording is {self.reading.says}{how}{silent}{little}"

    def lines(self) -> list[str]:
        """The finding, and what the recording does not tell it from."""
        found = [f"{self.says[0].upper()}{self.says[1:]}."]
        if self.also:
            shown = [each.short for each in self.also[:MOST_ALSO]]
            more = [f"{len(self.also) - MOST_ALSO} more"] if len(self.also) > MOST_ALSO else []
            found.append(f"This recording does not tell it from {'; '.join([*shown, *more])}.")
        return found

    def side(self, source: Side) -> Side:
        """The source's side under it; as it is, where it gives the recording or nothing does."""
        if self.plain or not self.fits:
            return source
        rules = {**source.rules, **self.reading.rules}
        return replace(source, name="the source", domain=Domain(), dt=self.reading.dt, rules=rules)

    @property
    def unexplained(self) -> tuple[Found, ...]:
        """What is left where nothing gives the recording."""
        if self.fits:
            return ()
        return (Found(Cause.UNEXPLAINED, self.missed, (), Blame.UNEXPLAINED, self.says),)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "fits": self.fits,
            "plain": self.plain,
            "vacuous": self.vacuous,
            **self.reading.as_dict(),
            "says": self.says,
            "missed": self.missed,
            "outputs": self.outputs,
            "rounding": self.rounded,
            "also": [each.as_dict() for each in self.also],
            "tried": self.tried,
        }


def matched(
    graph: Graph,
    source: Side,
    stimulus: Array,
    recorded: Recording,
    natives: Callable[[Graph], Iterable[Fingerprint]],
) -> SourceReading:
    r"""The simplest reading of a graph that gives every output of a recording: the source's, where that does.

    Else those of the libraries' own neurons, with gains and time constants read in every way that exporters are known to write
    them, and neurons that are not reset; else with another value to reset to, found from the recording; else at round
    steps.  A recording in which little happens fits many: all are named.

    source : whose rules come first
    stimulus : axes (T, B, \*shape)
    natives : inlined graph → the libraries' own neurons; asked once, and only where the source's own reading does not do

    Raises InvalidGraph.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # replays are many and small: two threads wait for each other longer than they compute
    try:
        return _matched(inline(graph), source, stimulus, recorded, natives)
    finally:
        torch.set_num_threads(threads)


def _matched(
    flat: Graph, source: Side, stimulus: Array, recorded: Recording, natives: Callable[[Graph], Iterable[Fingerprint]]
) -> SourceReading:
    case = _Case(flat, stimulus, recorded)
    own = reading(flat, source.dt, source.rules, source.dt)
    first = replace(case.against(own), plain=True)
    if not first.missed:
        return first
    steady = readings([(flat, ())], source.dt, steps(source.dt), [("", source.rules), ("", {})])
    stepped = case.best([each for each in steady if not each.axes], first)
    if not stepped.missed and not case.vacuous:
        return replace(stepped, tried=case.tried + 1)
    kinds = sorted({node.kind for _, node in flat.primitives() if "r" in node.params})
    named = [("", source.rules), ("", {}), *named_rules(natives(flat), kinds)]
    shaped = forms(flat, case.counts)
    tried = readings(shaped, source.dt, steps(source.dt), named)
    best = case.best(tried, first)
    if not best.fits:
        opened = readings([(open_values(flat), ())], source.dt, steps(source.dt), to_value(named)) if case.counts else []
        near = sorted(opened, key=case.screened)[: case.room(len(GRID))]
        parts = (case.first.stimulus, case.part), (case.stimulus, case.recorded)
        best = case.best(found_values(near, *parts, case.against), best)
    if not best.fits:
        further = readings(shaped[:1], source.dt, further_steps(source.dt), named)
        best = case.best(further, best)
    return replace(best, tried=case.tried + 1)


@dataclass
class _Case:
    graph: Graph
    stimulus: Array
    recorded: Recording
    tried: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        output = self.recorded.output
        self.counts = is_counts(output)
        self.vacuous = status_of(output, 0) is Status.VACUOUS
        busy = np.argsort(-np.abs(output.astype(np.float64)).sum(axis=(0, 2)), kind="stable")
        chosen = np.sort(busy[:SAMPLES])
        part = (slice(0, STEPS), chosen)
        self.part = Recording({"output": output[part]})
        self.replays, self.first = Replays(self.stimulus), Replays(self.stimulus[part])
        few = slice(0, max(1, len(self.first.stimulus) // 3))
        self.begin, self.beginning = Replays(self.first.stimulus[few]), Recording({"output": self.part.output[few]})
        shapes = validate(self.graph, finite=False)
        self.work = self.part.output[..., 0].size * sum(math.prod(incoming) for incoming, _ in shapes.values())

    def room(self, times: int = 1) -> int:
        """How many readings of a large graph there is time for, each so many times; of a small one, for all."""
        return max(LEAST, int(WORK / (self.work * times)))

    def screened(self, one: Reading) -> float:
        """The share of outputs that a reading misses in the part of the recording that all are held against."""
        return self._share(one, self.first, self.part)

    def _share(self, one: Reading, replays: Replays, recorded: Recording) -> float:
        mask = gap(recorded, replays.run(one.graph, one.dt, one.rules))
        return 1.0 if mask is None else count(mask) / max(1, mask.size)

    def _passing(self, candidates: Sequence[Reading]) -> list[Reading]:
        """Those that give the first steps of that part, and the part; else the one that comes closest to its first steps."""
        begins = [self._share(each, self.begin, self.beginning) for each in candidates]
        left = [each for each, share in zip(candidates, begins, strict=True) if share <= CLOSE]
        return [each for each in left if self.screened(each) <= CLOSE] or [candidates[int(np.argmin(begins))]]

    def against(self, one: Reading) -> SourceReading:
        """A reading held against the whole recording."""
        made = self.replays.run(one.graph, one.dt, one.rules)
        mask = gap(self.recorded, made)
        whole = self.recorded.output.size
        missed = whole if mask is None else count(mask)
        rounded = bool(0 < missed <= CLOSE * whole and self._rounds(one, mask))
        return SourceReading(one, missed, whole, rounded, vacuous=self.vacuous)

    def best(self, candidates: Sequence[Reading], fallback: SourceReading) -> SourceReading:
        """The simplest that fits, with those that fit as well; else the closest."""
        if not candidates:
            return fallback
        candidates = candidates[: self.room()]
        self.tried += len(candidates)
        held = [self.against(each) for each in self._passing(candidates)[:MOST]]
        fitting = sorted((each for each in [fallback, *held] if each.fits), key=_rank)
        if not fitting:
            return min([fallback, *held], key=lambda each: each.missed)
        return replace(fitting[0], also=tuple(each.reading for each in fitting[1:]))

    def _rounds(self, one: Reading, mask: Mask | None) -> bool:
        """Whether what a reading misses is rounding: where its spikes show it, or in single precision."""
        proof = guided(one.graph, one.dt, one.rules, self.stimulus, self._with_spikes(one.graph))
        if proof.proven:
            return True
        single = {kind: rule.but(precision=Precision.FLOAT32) for kind, rule in one.rules.items()}
        try:
            alike = gap(self.recorded, simulate(one.graph, self.stimulus, one.dt, single))
        except InvalidGraph:
            return False
        return alike is not None and not alike.any()

    def _with_spikes(self, graph: Graph) -> Recording:
        """The recording with the spikes of the neuron that alone feeds the only Output."""
        outputs = graph.of_kind("Output")
        ends = graph.into(outputs[0]) if len(outputs) == 1 else ()
        if len(ends) != 1 or "v_threshold" not in graph.nodes[ends[0]].params or not self.counts:  # type: ignore[union-attr]
            return self.recorded
        shape = validate(graph, finite=False)[ends[0]][1]
        output = self.recorded.output
        return Recording(self.recorded.outputs, {ends[0]: output.reshape(*output.shape[:2], *shape)})


def _rank(each: SourceReading) -> tuple[bool, int]:
    return each.rounded, each.reading.departures


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
                yield Fingerprint(known.backend, Origin.NATIVE, " and ".join(dict.fromkeys(options)), Domain(together))
